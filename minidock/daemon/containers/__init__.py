"""The verbs of containers, one a file. Imports every room below."""
