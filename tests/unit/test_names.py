"""Whoever sees a test fail learns from its name or its docstring what a user has lost."""

from __future__ import annotations

import ast
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
WORDS = 3  # a name of fewer (test_top, test_one_name) is a title, not a statement


def says_little(source: str) -> list[str]:
    """The test functions in `source` with a name of fewer than WORDS words and no docstring."""
    return [
        node.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef)
        and node.name.startswith("test_")
        and len(node.name.split("_")) <= WORDS
        and not ast.get_docstring(node)
    ]


def test_a_short_name_has_a_docstring() -> None:
    found = {str(path.relative_to(TESTS)): says_little(path.read_text()) for path in TESTS.rglob("test_*.py")}
    assert {path: names for path, names in found.items() if names} == {}


def test_a_short_name_alone_would_be_seen() -> None:
    assert says_little("def test_top(): pass\ndef test_a_name_that_says_it(): pass\ndef test_x():\n 'why'") == ["test_top"]
