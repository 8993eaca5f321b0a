"""Imports point down the layers only, and only linux/ knows ctypes."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "minidock"

# What each layer may import, besides itself. (errors, frozen, sha256 and linkgraph sit beside the layers.)
BELOW = {
    "errors": set(),
    "frozen": set(),
    "sha256": set(),
    "linux": set(),
    "linkgraph": {"errors", "linux"},
    "libcontainer": {"errors", "frozen", "linux", "sha256"},
    "shim": {"errors", "frozen", "linux", "sha256", "libcontainer"},
    "execdriver": {"errors", "frozen", "linux", "libcontainer", "shim"},
    "graphdriver": {"errors", "linux", "libcontainer"},  # of libcontainer: the config's RootMount, data only
    "graph": {"errors", "frozen", "sha256", "linux", "linkgraph", "graphdriver", "libcontainer"},
    "networkdriver": {"errors", "linux", "linkgraph"},
    "daemon": {
        "errors",
        "frozen",
        "linux",
        "linkgraph",
        "execdriver",
        "graphdriver",
        "graph",
        "networkdriver",
        "sha256",
    },
    "client": {"errors", "daemon", "execdriver", "graph", "linux"},
    "cli": {"errors", "frozen", "client", "daemon", "shim"},  # shim: the grammar of the detach keys
    "lab": {"errors", "client", "daemon", "linux", "libcontainer"},  # daemon: ./lab clean takes the instance away
    "types": {"client"},  # minidock/types.py, where docker-py's users look
    "": {"errors", "client", "types"},  # minidock/__init__.py
}
# The zygote and everything it runs must start on the standard library alone.
STDLIB_ONLY = ("linux", "libcontainer", "shim", "errors", "frozen", "sha256")
THIRD_PARTY = {"click", "rich", "docker", "yaml", "pyroute2", "matplotlib", "IPython", "ipywidgets", "aiohttp", "nbformat"}

FILES = sorted(PACKAGE.rglob("*.py"))


def layer_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return "" if parts == ("__init__",) else parts[0]


def imports(path: Path) -> list[tuple[str, bool]]:
    """(module, at the top level?) of every import in the file, TYPE_CHECKING blocks included."""
    tree = ast.parse(path.read_text())
    top = {id(n) for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom)} - {
        id(n)
        for f in ast.walk(tree)
        if isinstance(f, ast.FunctionDef | ast.AsyncFunctionDef)
        for n in ast.walk(f)
        if isinstance(n, ast.Import | ast.ImportFrom)
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, id(node) in top) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [node.module or ""]
            if node.module == "minidock":
                names = [f"minidock.{alias.name}" for alias in node.names if alias.name != "__version__"]
            found += [(name, id(node) in top) for name in names]
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    layer = layer_of(path)
    for module, _top in imports(path):
        if module.startswith("minidock."):
            target = module.split(".")[1]
            assert target == layer or target in BELOW[layer], f"{path}: {layer or 'minidock'} imports {module}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_only_linux_knows_ctypes(path: Path) -> None:
    if layer_of(path) != "linux":
        assert not [m for m, _ in imports(path) if m.split(".")[0] == "ctypes"]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_the_zygote_needs_the_standard_library_only(path: Path) -> None:
    if layer_of(path) in STDLIB_ONLY:
        assert not [m for m, top in imports(path) if top and m.split(".")[0] in THIRD_PARTY]


def test_every_layer_is_in_the_table() -> None:
    assert {layer_of(p) for p in FILES} <= set(BELOW)


def test_files_stay_short() -> None:
    long = {str(p.relative_to(PACKAGE)): n for p in FILES if (n := len(p.read_text().splitlines())) > 400}
    assert not long
