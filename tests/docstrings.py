"""How many public docstrings keep the promise of CONTRIBUTING.md: ``python tests/docstrings.py [-v] [PACKAGE…]``.

The rule, for each public class, function, method and property of the package (no underscore in front of it or of its class,
no overload, no method of a Protocol whose docstring is its interface's):

* it has a docstring;
* each argument is in it: by its name as a word (``size_bytes`` also as "size bytes", ``path`` also as "paths"), or its
  annotation is a class that says it (``engine: Engine``, ``exec: Exec``). ``self``, ``*args`` and ``**kwargs`` need no word;
* if its own body raises an error by name, the docstring says "Raises", or has the error's name;
* in ``linux/`` the docstring, or its module's, names a source: a man page as ``name(2)``, or a file of the kernel's.

-v names each that does not, and why. ``tests/unit/test_docstrings.py`` holds the floor of each package.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).resolve().parents[1] / "minidock"
SOURCE = re.compile(r"\b[a-z_0-9]+\([1-9]\)|Documentation/|include/|\.[ch]\b|\.rst\b|kernel/")
Function = ast.FunctionDef | ast.AsyncFunctionDef


class Docstring(NamedTuple):
    """One public name, and what is missing in its docstring ("" if nothing is)."""

    package: str
    where: str
    broken: str


def package_of(path: Path) -> str:
    """The folder below minidock; in daemon/ the room too."""
    parts = path.relative_to(PACKAGE).parts
    if len(parts) == 1:
        return "."
    return "/".join(parts[: 2 if parts[0] == "daemon" and len(parts) > 2 else 1])


def look(path: Path) -> Iterator[Docstring]:
    """Every public name of the module at `path`."""
    tree = ast.parse(path.read_text())
    module = ast.get_docstring(tree) or ""
    package, file = package_of(path), path.relative_to(PACKAGE)
    for name, node in public(tree.body, ""):
        needs_source = module if package == "linux" and isinstance(node, Function) else None
        yield Docstring(package, f"{file}:{node.lineno} {name}", broken(node, needs_source))


def public(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, Function | ast.ClassDef]]:
    """(dotted name, node) of what is public in `body`; `prefix` is the class's name and a dot."""
    for node in body:
        if not isinstance(node, Function | ast.ClassDef) or node.name.startswith("_") or decorated(node, "overload"):
            continue
        yield prefix + node.name, node
        if isinstance(node, ast.ClassDef):
            yield from public(node.body, f"{prefix}{node.name}.")


def decorated(node: Function | ast.ClassDef, word: str) -> bool:
    """Whether `node` has a decorator with `word` in it."""
    return any(word in ast.unparse(decorator) for decorator in node.decorator_list)


def broken(node: Function | ast.ClassDef, module: str | None) -> str:
    """What `node`'s docstring lacks. `module` is the module's docstring, where a source must be named, else None."""
    text = ast.get_docstring(node)
    if not text:
        return "no docstring"
    if isinstance(node, ast.ClassDef):
        return ""
    lacking = [name for name in arguments(node) if not mentioned(name, text)]
    if lacking:
        return f"says nothing of {', '.join(lacking)}"
    errors = raised(node)
    if errors and "Raises" not in text and not any(error in text for error in errors):
        return f"does not say that it raises {', '.join(sorted(errors))}"
    if module is not None and not SOURCE.search(text + module):
        return "names no source"
    return ""


def arguments(node: Function) -> Iterator[str]:
    """The arguments that need a word."""
    for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs):
        kind = ast.unparse(argument.annotation) if argument.annotation else ""
        said = argument.arg.replace("_", "").lower() in [word.lower() for word in re.findall(r"[A-Za-z]+", kind)]
        if argument.arg not in ("self", "cls") and not argument.arg.startswith("_") and not said:
            yield argument.arg


def mentioned(name: str, text: str) -> bool:
    """Whether `text` has the argument `name` as a word."""
    words = re.escape(name.strip("_")).replace("_", "[_ -]")
    return re.search(rf"(?<![A-Za-z0-9]){words}(?:e?s)?(?![A-Za-z0-9])", text, re.IGNORECASE) is not None


def raised(node: Function) -> set[str]:
    """The names of the errors that `node`'s own body raises."""
    inner = {id(n) for f in ast.walk(node) if isinstance(f, Function | ast.Lambda) and f is not node for n in ast.walk(f)}
    found = set()
    for statement in ast.walk(node):
        if isinstance(statement, ast.Raise) and id(statement) not in inner and isinstance(statement.exc, ast.Call):
            name = ast.unparse(statement.exc.func).partition(".")[0]
            if name[0].isupper():
                found.add(name)
    return found


def count() -> dict[str, list[Docstring]]:
    """Package → its public names."""
    found: dict[str, list[Docstring]] = defaultdict(list)
    for path in sorted(PACKAGE.rglob("*.py")):
        for docstring in look(path):
            found[docstring.package].append(docstring)
    return found


def say(line: str) -> None:
    """Print `line`."""
    sys.stdout.write(line + "\n")


def main(words: list[str]) -> None:
    """Print the table; with -v also each that is broken. `words` are the command's arguments."""
    wanted = [word for word in words if word != "-v"]
    kept = total = 0
    for package, docstrings in count().items():
        if wanted and not any(package.startswith(word) for word in wanted):
            continue
        good = sum(not docstring.broken for docstring in docstrings)
        kept, total = kept + good, total + len(docstrings)
        say(f"{package:24} {good:5} of {len(docstrings):5}  {100 * good // len(docstrings):3} %")
        for docstring in docstrings if "-v" in words else ():
            if docstring.broken:
                say(f"    {docstring.where}: {docstring.broken}")
    say(f"{'all':24} {kept:5} of {total:5}  {100 * kept // max(total, 1):3} %")


if __name__ == "__main__":
    main(sys.argv[1:])
