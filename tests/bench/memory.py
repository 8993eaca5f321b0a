"""What one idle shim costs: USS (Private_Clean + Private_Dirty of smaps_rollup, proc(5)), the zygote alive and gone."""

from __future__ import annotations

from pathlib import Path

from tests.bench.cold import kill_zygotes
from tests.bench.measure import Row, Table
from tests.bench.stage import Stage


def uss(pid: int) -> float:
    """MiB that would come back if the process went."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


def shim_of(stage: Stage, container: object) -> int:
    """The shim's pid, from the container's run.json."""
    import json

    engine = stage.client.api.engine
    return int(json.loads((engine.paths.container(container.id) / "run.json").read_text())["shim_pid"])  # type: ignore[attr-defined]


def run(stage: Stage) -> list[Table]:
    rows = []
    for number in (1, 20):
        containers = [
            stage.client.containers.run("busybox", "sleep 600", detach=True, network_mode="none") for _ in range(number)
        ]
        shims = [shim_of(stage, c) for c in containers]
        rows.append(Row(f"{number} shim(s), zygote alive", [uss(p) for p in shims]))
        kill_zygotes(stage)
        rows.append(Row(f"{number} shim(s), zygote killed", [uss(p) for p in shims]))
        for c in containers:
            c.remove(force=True)
    return [Table("Memory of an idle shim (USS)", "MiB", "at most 2", rows)]
