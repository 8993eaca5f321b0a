"""``top``: the host's ps(1), shown only what belongs to the container. So its columns are what the user's ps knows."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING, Any

from minidock.daemon.base.verb import verb
from minidock.daemon.record.names import lookup
from minidock.daemon.request import texts
from minidock.errors import Conflict, InvalidParameter, NotSupported, SystemFault

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine

# `ps -o pid=X` renames the column that the rows are chosen by: docker refuses it in these words.
_RENAMED_PID = re.compile(r"\s+[\w,]*pid=\s*", re.IGNORECASE)


@verb
def top(engine: Engine, ref: str, ps_args: str = "-ef") -> dict[str, Any]:
    """The container's processes: ``{"Titles": [...], "Processes": [[...], ...]}``, pids as the host sees them.

    Raises ContainerNotFound, Conflict (it does not run), InvalidParameter (`ps_args`), NotSupported (no ps here).
    """
    from minidock.execdriver import cgroups

    ps_args = ps_args or "-ef"
    texts.check("ps_args", ps_args)
    if _RENAMED_PID.search(" " + ps_args):
        raise InvalidParameter('specifying "pid=" is not allowed')
    container = lookup(engine, ref)
    state = container.state()
    if not state.running:
        raise Conflict(f"Container {container.id} is not running")
    pids = set(cgroups.manager(container.cgroup).pids())
    return parse(run_ps(ps_args.split()), pids)  # at blanks, quotes are nothing special (moby fieldsASCII)


def run_ps(args: list[str]) -> str:
    """Output of ps(1) over all processes of the host; the columns are wide enough for whole command lines."""
    try:
        done = subprocess.run(
            ["ps", *args], capture_output=True, text=True, check=False, env={"COLUMNS": "4096", "PATH": _PATH}
        )
    except FileNotFoundError:
        raise NotSupported("top needs the host's ps command (Debian: apt install procps)") from None
    if done.returncode:
        raise SystemFault("ps", " ".join(args), 0, done.stderr.strip() or f"exit status {done.returncode}")
    return done.stdout


_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def parse(output: str, pids: set[int]) -> dict[str, Any]:
    """Choose the lines whose PID is in `pids`. The last column keeps its blanks."""
    lines = output.splitlines()
    titles = lines[0].split() if lines else []
    if "PID" not in titles:
        raise InvalidParameter("Couldn't find PID field in ps output")
    column = titles.index("PID")
    rows = []
    for line in lines[1:]:
        fields = line.split(None, len(titles) - 1)
        if len(fields) > column and fields[column].isdigit() and int(fields[column]) in pids:
            rows.append(fields)
    return {"Titles": titles, "Processes": rows}
