"""minidock."""
