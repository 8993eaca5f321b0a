"""The shim's own work: what a run waits for when no zygote is there yet, and lines through the shim into the log."""

from __future__ import annotations

from tests.bench.measure import Table, in_turn, timed
from tests.bench.stage import Stage

SIZE = 20_000_000  # bytes, as lines of 80
WRITE = f"yes {'x' * 79} | head -c {SIZE}"


def run(stage: Stage) -> list[Table]:
    """A warm run beside one that brings up the zygote; a container that writes SIZE bytes into its log, and into nothing."""

    def container(*command: str) -> None:
        stage.client.containers.run("busybox", [*command], network_mode="none", remove=True, stdout=False)

    def without_zygote() -> None:
        stage.client.api.engine.execdriver.stop_zygote()  # type: ignore[attr-defined]
        container("true")

    starts = {"no zygote yet": timed(without_zygote), "zygote there": timed(lambda: container("true"))}
    lines = {
        "into the log": timed(lambda: container("sh", "-c", WRITE)),
        "into /dev/null": timed(lambda: container("sh", "-c", f"{WRITE} >/dev/null")),
    }
    return [
        Table("A run from a program", "ms", "none", in_turn(starts, rounds=12, reference="zygote there")),
        Table(
            f"A container that writes {SIZE / 1e6:.0f} MB in lines", "ms", "none",
            in_turn(lines, rounds=5, reference="into /dev/null", warmup=1),
        ),
    ]  # fmt: skip
