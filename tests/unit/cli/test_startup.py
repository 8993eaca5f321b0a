"""What a command does not load, because it would have to wait for it."""

import subprocess
import sys

# What `stats --no-stream` loads before its first sample, from the outside in.
FIRST_SAMPLE = (
    "minidock.cli.launcher",
    "minidock.cli.main",
    "minidock.cli.stats",
    "minidock.client.api",
    "minidock.daemon.engine",
    "minidock.daemon.containers.ps",
    "minidock.daemon.containers.stats",
    "minidock.libcontainer.cgroups",
)
HEAVY = {
    "ast",
    "ctypes",
    "dataclasses",
    "docker",
    "inspect",
    "minidock.cli.format.listing",
    "minidock.cli.format.usage",
    "minidock.client.types",
    "minidock.graph.store",
    "minidock.libcontainer.cgroups.devices",
    "minidock.libcontainer.config",
    "random",
    "shlex",
    "subprocess",
}


def heavy(*modules: str) -> set[str]:
    """What of HEAVY is loaded after a fresh Python has imported `modules`."""
    code = f"import sys, {', '.join(modules)}; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    return HEAVY & set(out.split())


def test_the_first_sample_of_stats_waits_for_nothing_heavy() -> None:
    assert heavy(*FIRST_SAMPLE) == set()


def test_heavy_modules_would_be_seen() -> None:
    assert heavy("minidock.graph.store") >= {"dataclasses", "inspect", "minidock.graph.store"}


def test_the_launcher_prints_everything_and_ends_with_the_exit_code() -> None:
    code = "from minidock.cli.launcher import launch; launch()"
    for words, exit_code, out in (("--version", 0, "minidock version"), ("--log-level=none ps", 1, "")):
        done = subprocess.run([sys.executable, "-c", code, *words.split()], capture_output=True, text=True)
        assert done.returncode == exit_code
        assert done.stdout.startswith(out)
        assert bool(done.stderr) == bool(exit_code)
