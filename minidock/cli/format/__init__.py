"""How commands print: Go templates (`template`), docker's tables (`table`), its sizes and durations (`units`).

A command hands rows to `listing`, which prints them as the table, the template or the JSON that was asked for; `lexer`, `nodes`
and `functions` are the template language. Knows no container.

May import: `errors` and the standard library; of `cli` only `streams`.
"""

FORMAT_HELP = """Format output using a custom template:
'table':            Print output in table format with column headers (default)
'table TEMPLATE':   Print output in table format using the given Go template
'json':             Print in JSON format
'TEMPLATE':         Print output using the given Go template."""
INSPECT_FORMAT_HELP = """Format output using a custom template:
'json':             Print in JSON format
'TEMPLATE':         Print output using the given Go template."""
