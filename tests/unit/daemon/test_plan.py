"""The plan on the wall says where each verb is, to Python and to mypy alike."""

import ast
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

from minidock import daemon


def shown_to_mypy() -> dict[str, str]:
    """Verb → module, from the imports that only a type checker sees."""
    tree = ast.parse(Path(daemon.__file__).read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    found = {}
    for node in block.body:
        assert isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names:
            if alias.asname:
                found[alias.asname] = node.module.removeprefix("minidock.daemon.")
    return found


def test_python_and_mypy_find_the_same_verbs() -> None:
    assert shown_to_mypy() == daemon._PLAN


@pytest.mark.parametrize("name", daemon._PLAN)
def test_each_verb_is_where_the_plan_says(name: str) -> None:
    verb = getattr(daemon, name)
    assert callable(verb) and verb.__name__ == name
    assert verb.__module__ == f"minidock.daemon.{daemon._PLAN[name]}"


def test_no_verb_hides_behind_a_room() -> None:
    """A room that was imported is an attribute of the package, and would be found in the place of a verb of its name."""
    rooms = {module.name for module in pkgutil.iter_modules(daemon.__path__)}
    assert rooms and not rooms & daemon._PLAN.keys()


def test_a_verb_loads_itself_alone() -> None:
    code = "import sys; from minidock import daemon; daemon.rename; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "minidock.daemon.containers.rename" in loaded
    assert "minidock.daemon.containers.start" not in loaded


def test_what_is_no_verb_is_missed() -> None:
    with pytest.raises(AttributeError):
        _ = daemon.fly
