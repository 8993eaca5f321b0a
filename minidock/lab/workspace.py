"""Where the lab writes, who owns what it writes, and in which of its three modes a notebook runs.

::

    CHECKOUT/                     the folder with pyproject.toml (or the current folder, when there is none above)
      notebooks/03-namespaces.ipynb
      build/                      all that the lab writes; not in git
        report/NAME.html          ./lab run
        measurements/NAME.json    every number behind a plot, with the facts of the machine it was taken on
        predictions.json          what the reader predicted, kept over a kernel restart

A notebook runs *live* (somebody sits in front of it), *headless* (``./lab run`` and the tests: controls show their static
rendering, nobody answers), or headless *with solutions* (``./lab test``: a failed check is then an error).
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

HEADLESS = "MINIDOCK_LAB_HEADLESS"
SOLUTIONS = "MINIDOCK_LAB_SOLUTIONS"
BUILD = "MINIDOCK_LAB_BUILD"


def headless() -> bool:
    """True when nobody sits in front of this notebook: the runner sets the variable."""
    return os.environ.get(HEADLESS, "") == "1"


def solutions() -> bool:
    """True in the run in which the solutions take the exercises' place."""
    return os.environ.get(SOLUTIONS, "") == "1"


def project_root(start: Path | None = None) -> Path:
    """The checkout: the nearest folder at or above `start` (default: the current one) with a pyproject.toml, else `start`."""
    here = (start or Path.cwd()).resolve()
    return next((p for p in (here, *here.parents) if (p / "pyproject.toml").is_file()), here)


def build_dir(*parts: str) -> Path:
    """A folder below ``build/``, made if need be and owned by the user behind sudo. MINIDOCK_LAB_BUILD overrides build/."""
    base = Path(os.environ[BUILD]) if os.environ.get(BUILD) else project_root() / "build"
    path = base
    for part in ("", *parts):
        path = path / part
        if not path.is_dir():
            path.mkdir(parents=True, exist_ok=True)
            own(path)
    return path


def own(path: Path) -> Path:
    """Give `path` to the user behind sudo (SUDO_UID, SUDO_GID), so that a checkout never fills with root's files."""
    uid = os.environ.get("SUDO_UID", "")
    if os.geteuid() == 0 and uid.isdigit():
        gid = os.environ.get("SUDO_GID", "")
        os.chown(path, int(uid), int(gid) if gid.isdigit() else -1)
    return path


def write_text(path: Path, text: str) -> Path:
    """Write `text` whole or not at all (a temporary name, then rename), owned by the user behind sudo."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        own(temporary)
        temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def write_json(path: Path, value: Any) -> Path:
    """`write_text` of `value` as indented JSON."""
    return write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def read_json(path: Path, default: Any) -> Any:
    """The JSON in `path`; `default` if there is no such file. A file that is not JSON raises ValueError: it is not ours."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return default
