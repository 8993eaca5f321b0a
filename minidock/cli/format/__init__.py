"""How commands print: Go templates (`template`), docker's tables (`table`), its sizes and durations (`units`)."""
