"""Figures of levels: a picture each, whose alternative text has the numbers and the limits."""

from __future__ import annotations

from minidock.lab import plots_levels

MIB = 1 << 20
ROWS = [{"t": i / 10, "memory": i * MIB, "swap": 0} for i in range(11)]


def test_curves_tell_their_ends_and_limits() -> None:
    made = plots_levels.curves(
        ROWS, {"memory": "in memory", "swap": "in swap"}, title="It grows", limits={"limit": 8 * MIB}, events={"now": 0.5}
    )
    assert made.png.startswith(b"\x89PNG")
    assert made.alt == "It grows. MiB over 1 s: in memory from 0 to 10; in swap from 0 to 0; limit at 8"


def test_another_unit() -> None:
    """Levels in another unit than MiB are labeled with it."""
    made = plots_levels.curves(ROWS, {"memory": "in memory"}, title="t", unit=1.0, ylabel="bytes")
    assert "bytes over 1 s: in memory from 0 to 10485760" in made.alt


def test_stacks_tell_every_part_and_note() -> None:
    made = plots_levels.stacks(
        {"16 MiB": {"memory": 16 * MIB, "swap": 0}, "80 MiB": {"memory": 32 * MIB, "swap": 30 * MIB}},
        title="Up to the limit", label="held (MiB)", limits={"limit": 64 * MIB}, notes={"80 MiB": "killed"},
    )  # fmt: skip
    assert made.alt == "Up to the limit. held (MiB): 16 MiB: memory 16, swap 0; 80 MiB: memory 32, swap 30 (killed)"


def test_distributions_tell_median_and_tail() -> None:
    fast = [(10.0, 50.0), (20.0, 99.0), (900.0, 100.0)]
    slow = [(5000.0, 40.0), (9000.0, 100.0)]
    made = plots_levels.distributions({"fast": fast, "slow": slow}, title="Two", label="time (µs)", marks={"5 ms": 5000})
    assert made.png.startswith(b"\x89PNG")
    assert made.alt.endswith("fast: half at most 10, 99 % at most 20; slow: half at most 9000, 99 % at most 9000")
