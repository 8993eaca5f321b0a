"""Limits on the command line: what the kernel holds afterwards, and wrong values in docker's words with nothing made.

Wrong values go to the installed docker with a private dockerd (Debian 12's 20.10) as well. What pflag refuses is in
``tests/unit/cli/test_like_docker.py``, where no daemon is needed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from minidock.daemon.base.paths import Paths
from minidock.libcontainer import cgroups
from tests.cli.conftest import Cli
from tests.cli.pair import Pair, state
from tests.cli.pair import pair as both

# After "run --rm --net=none" and before "busybox true".
WRONG = """
-m 1
-m 4m
-m 6291455
-m 5.9mb
-m 0.5k
-m 20m --memory-swap 10m
-m 20m --memory-swap 1
--memory-swap 20m
--memory-swap 1
-m 20m --memory-reservation 30m
--memory-reservation 1m
--cpus 99
--cpus -1
--cpus 1 --cpu-quota 5000
--cpus 1 --cpu-period 5000
--cpu-period 5
--cpu-period 999
--cpu-period 1000001
--cpu-period -5
--cpu-quota 5
--cpu-quota 999
-c 1
-c -1
-c 262145
-c 9223372036854775807
--cpuset-cpus 99
--cpuset-cpus 0-99
--cpuset-cpus 1-0
--cpuset-cpus a
--cpuset-cpus -
--cpuset-cpus 0,,1
--cpuset-cpus 0-
--cpuset-cpus ,
--cpuset-cpus 9999999
--cpuset-mems 9
--cpuset-mems x
--cpuset-mems 0-9
--oom-score-adj 1001
--oom-score-adj -1001
--device-cgroup-rule 'c 1:3 x'
--device-cgroup-rule 'd 1:3 r'
"""
UPDATES = """
update -m 4m up
update -m 1 up
update --cpus 99 up
update --cpus 1 --cpu-quota 5000 up
update --cpu-period 5 up
update --cpu-quota 5 up
update --cpuset-cpus 99 up
update --cpuset-cpus x up
update --cpuset-mems 9 up
update --memory-reservation 1m up
update --restart nosuch up
update -m 64m nosuch
stats --no-stream nosuch
stats nosuch also-not
"""
CALLS = [f"run --rm --net=none {options} busybox true" for options in WRONG.strip().splitlines()]
CALLS += UPDATES.strip().splitlines()
# Where we say it otherwise: why.
KERNEL = "docker leaves it to the kernel, whose refusal is told with the file's path"
MISSING = "the same words, but docker ends with 127, as if the command were missing"
WEIGHT = "docker looks at a weight only where the kernel has weights, and discards it elsewhere"
OTHERWISE = {
    "run --rm --net=none --cpus 0.001 busybox true": KERNEL,
    "run --rm --net=none --blkio-weight 5 busybox true": WEIGHT,
    "run --rm --net=none --blkio-weight 9 busybox true": WEIGHT,
    "run --rm --net=none --blkio-weight 1001 busybox true": WEIGHT,
    "run --rm --net=none --blkio-weight 65535 busybox true": WEIGHT,
    "run --rm --net=none --blkio-weight-device /dev/nosuch:500 busybox true": WEIGHT,
    "run --rm --net=none --device-read-bps /dev/nosuch:1mb busybox true": MISSING,
    "run --rm --net=none --device-write-bps /dev/nosuch:1mb busybox true": MISSING,
    "run --rm --net=none --device-read-iops /dev/nosuch:100 busybox true": MISSING,
    "run --rm --net=none --device-write-iops /dev/nosuch:100 busybox true": MISSING,
    "update --memory-swap 1m up": KERNEL,
    "update --cpus 0.001 up": KERNEL,
    "update --blkio-weight 5 up": WEIGHT,
    "update --blkio-weight 1001 up": WEIGHT,
}


# File in the container's cgroup → what all of `ALL` below makes of it, by the version of the kernel's interface.
ALL = (
    *("-c", "512", "--cpu-period", "50000", "--cpu-quota", "20000", "--cpuset-cpus", "0", "--cpuset-mems", "0"),
    *("-m", "64m", "--memory-reservation", "32m", "--pids-limit", "50"),
)
HELD = {
    1: {
        "cpu.shares": "512",
        "cpu.cfs_period_us": "50000",
        "cpu.cfs_quota_us": "20000",
        "cpuset.cpus": "0",
        "cpuset.mems": "0",
        "memory.limit_in_bytes": str(64 << 20),
        "memory.memsw.limit_in_bytes": str(128 << 20),
        "memory.soft_limit_in_bytes": str(32 << 20),
        "pids.max": "50",
    },
    2: {
        "cpu.weight": "59",
        "cpu.max": "20000 50000",
        "cpuset.cpus": "0",
        "cpuset.mems": "0",
        "memory.max": str(64 << 20),
        "memory.swap.max": str(64 << 20),
        "memory.low": str(32 << 20),
        "pids.max": "50",
    },
}


def held(cli: Cli, name: str) -> dict[str, str]:
    """What the kernel holds for a running container: the files of HELD, as far as their controllers are here."""
    id = cli.ok("inspect", "-f", "{{.Id}}", name).strip()
    paths = cgroups.manager(Paths.of(cli.root).cgroup(id)).paths()
    files = {name: f"{paths.get(name.partition('.')[0], '')}/{name}" for name in HELD[cgroups.version()]}
    return {name: Path(path).read_text().strip() for name, path in files.items() if Path(path).exists()}


@pytest.fixture(scope="module")
def pair(instance: Cli, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with both(instance, tmp_path_factory.mktemp("limits"), tmp_path_factory.mktemp("d")) as found:
        yield found


def test_wrong_values_are_told_as_docker_does_and_nothing_is_made(pair: Pair) -> None:
    assert len(CALLS) + len(OTHERWISE) >= 40
    before = state(pair.cli.root), held(pair.cli, "up")
    different = {}
    with ThreadPoolExecutor(1) as beside:
        for call, answer in zip(CALLS, [beside.submit(pair.theirs, call) for call in CALLS], strict=True):
            mine, theirs = pair.ours(call), answer.result()
            if mine != theirs or mine[1] != (125 if call.startswith("run") else 1) or state(pair.cli.root) != before[0]:
                different[call] = mine, theirs
    assert different == {}
    assert held(pair.cli, "up") == before[1]


def test_wrong_values_that_docker_sees_later_or_not_at_all(pair: Pair) -> None:
    before = state(pair.cli.root), held(pair.cli, "up")
    for call, why in OTHERWISE.items():
        mine = pair.ours(call)
        assert state(pair.cli.root) == before[0], call
        assert mine[1] == (125 if call.startswith("run") else 1), call
        assert len(mine[0].splitlines()) == 1, mine
        if why != WEIGHT:  # machines differ in that
            assert mine != pair.theirs(call), call
    assert held(pair.cli, "up") == before[1]


def test_the_comparison_can_fail(pair: Pair) -> None:
    assert pair.ours("run --rm --net=none -m 1 busybox true") != pair.theirs("run --rm --net=none --cpus 99 busybox true")
    before = held(pair.cli, "up")
    pair.cli.ok("update", "--pids-limit", "77", "up")
    assert held(pair.cli, "up") != before


def columns(table: str) -> list[dict[str, str]]:
    """The rows of a table of docker's, by column head; columns are three or more blanks apart."""
    head, *rows = [re.split(r" {3,}", line.strip()) for line in table.splitlines()]
    return [dict(zip(head, row, strict=True)) for row in rows]


def test_stats_has_dockers_table(pair: Pair) -> None:
    """The same columns in the same order, and the same figures but for those that measure."""
    mine = pair.cli.ok("stats", "--no-stream", "up", "made")
    ours, other = columns(mine), columns(pair.docker("stats", "--no-stream", "up", "made").stdout.decode())
    assert list(ours[0]) == list(other[0])
    assert [row["NAME"] for row in ours] == ["up", "made"]
    assert len(ours[0]["CONTAINER ID"]) == 12
    assert re.fullmatch(r"\d+\.\d\d%", ours[0]["CPU %"])
    assert [row["NET I/O"] for row in ours] == [row["NET I/O"] for row in other]
    assert [row["PIDS"] for row in ours] == ["1", "0"]  # a literal: on a busy machine docker's own shows 0 for what runs
    assert ours[1] | {"CONTAINER ID": ""} == other[1] | {"CONTAINER ID": ""}  # one that does not run: zeros


def test_stats_in_json_and_templates(pair: Pair) -> None:
    theirs = json.loads(pair.docker("stats", "--no-stream", "--format", "json", "up").stdout)
    mine = json.loads(pair.cli.ok("stats", "--no-stream", "--format", "json", "up"))
    assert list(mine) == list(theirs)
    assert (mine["Container"], mine["Name"], mine["PIDs"]) == ("up", "up", "1")
    full = pair.cli.ok("stats", "--no-stream", "--no-trunc", "--format", "{{.ID}}", "up").strip()
    assert len(full) == 64
    both_listed = pair.cli.ok("stats", "-a", "--no-stream", "--format", "{{.Name}}").split()
    assert (set(both_listed), pair.cli.ok("stats", "--no-stream", "--format", "{{.Name}}").split()) == ({"up", "made"}, ["up"])


def test_all_limits_are_in_the_kernel_and_in_inspect(cli: Cli, background: Callable[..., str]) -> None:
    limited, free = background(*ALL), background()
    found, unlimited = held(cli, limited), held(cli, free)
    assert found == {name: value for name, value in HELD[cgroups.version()].items() if name in found}
    assert len(found) >= 7
    assert not set(found.items()) & (set(unlimited.items()) - {("cpuset.mems", "0")})
    wanted = (("CpuShares", 512), ("CpuPeriod", 50000), ("CpuQuota", 20000), ("Memory", 64 << 20), ("MemorySwap", 128 << 20))
    host_config = json.loads(cli.ok("inspect", "-f", "{{json .HostConfig}}", limited))
    assert [(key, host_config[key]) for key, _ in wanted] == list(wanted)


@pytest.mark.parametrize("flag", ["--cpuset", "--cpuset-cpus"])
def test_both_names_of_cpuset(cli: Cli, background: Callable[..., str], flag: str) -> None:
    assert held(cli, background(flag, "1"))["cpuset.cpus"] == "1"


def test_the_kernel_memory_limit_is_a_warning(cli: Cli) -> None:
    result = cli("run", "--rm", "--net=none", "--kernel-memory", "50m", "busybox", "true")
    assert result.returncode == 0
    assert re.search(r"^WARNING: .*kernel memory limit", result.stderr, re.M), result.stderr


def test_update_changes_each_and_tells_what_it_could_not(cli: Cli, background: Callable[..., str]) -> None:
    first, second = background("-m", "64m", "--name", "one"), background("--name", "two")
    before = held(cli, second)
    result = cli("update", "-m", "32m", "--memory-swap", "32m", "--cpu-shares", "100", "one", "nosuch", "two")
    assert (result.returncode, result.stdout) == (1, "one\ntwo\n")
    assert result.stderr == "Error response from daemon: No such container: nosuch\n"
    assert held(cli, first)["pids.max"] == held(cli, second)["pids.max"] == before["pids.max"]
    changed = {name for name, value in held(cli, second).items() if value != before[name]}
    assert (
        changed
        == {
            1: {"cpu.shares", "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"},
            2: {"cpu.weight", "memory.max", "memory.swap.max"},
        }[cgroups.version()]
    )
    assert cli.ok("inspect", "-f", "{{.HostConfig.Memory}}", "one").strip() == str(32 << 20)


def test_update_of_a_container_that_does_not_run(cli: Cli) -> None:
    cli.ok("create", "--name", "later", "--net=none", "busybox", "sleep", "1000")
    assert cli.ok("update", "--pids-limit", "7", "--restart", "on-failure:3", "later") == "later\n"
    cli.ok("start", "later")
    assert held(cli, "later")["pids.max"] == "7"
    assert cli.ok("inspect", "-f", "{{json .HostConfig.RestartPolicy}}", "later") == (
        '{"Name":"on-failure","MaximumRetryCount":3}\n'
    )
    cli.ok("kill", "later")


def test_stats_measures_and_says_over_how_long(cli: Cli, background: Callable[..., str]) -> None:
    burner = cli.ok("run", "-d", "--net=none", "-m", "64m", "busybox", "sh", "-c", "while :; do :; done").strip()
    idle = background()
    for _ in range(50):  # on a busy machine a tenth of a second may pass without the burner's turn
        result = cli("stats", "--no-stream", burner, idle)
        rows = columns(result.stdout)
        busy, quiet = (float(row["CPU %"].rstrip("%")) for row in rows)
        assert quiet < 10
        if busy > 10:
            break
    assert busy > 10
    assert (rows[0]["MEM USAGE / LIMIT"].partition(" / ")[2], rows[0]["PIDS"]) == ("64MiB", "1")
    assert result.stderr == "(CPU % is that of the last 100 ms)\n"


def test_the_screen_is_drawn_anew_until_the_container_is_removed(cli: Cli, background: Callable[..., str]) -> None:
    background("--name", "watched")
    with cli.terminal("stats", "watched", columns=120) as screen:
        screen.expect(r"\x1b\[HCONTAINER ID +NAME +CPU %")
        screen.expect(r"(?s)watched +\d+\.\d\d%.*?\x1b\[J")
        cli.ok("rm", "-f", "watched")
        screen.expect(r"watched +-- ")
        assert screen.exit_code() == 0


def test_the_screen_shows_what_comes_and_goes(cli: Cli, background: Callable[..., str]) -> None:
    with cli.terminal("stats", columns=120) as screen:
        screen.expect("CONTAINER ID")
        background("--name", "late")
        screen.expect(r" late +\d")
        cli.ok("rm", "-f", "late")
        screen.expect(r"\x1b\[HCONTAINER ID[^\n]*\n\x1b\[J")
        screen.type("\x03")
        assert screen.exit_code() == 130


def test_a_small_window_gets_what_fits(cli: Cli, background: Callable[..., str]) -> None:
    names = [background("--name", f"number-{number}") for number in range(3)]
    with cli.terminal("stats", *names, rows=3, columns=40) as screen:
        text = screen.expect(r"(?s)\x1b\[H(.*?)\x1b\[J").group(1)
        lines = [line.replace("\x1b[K", "") for line in text.split("\r\n")[:-1]]
        assert len(lines) == 2 and all(len(line) <= 40 for line in lines)
