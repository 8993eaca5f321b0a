"""What a command does not load, because it would have to wait for it."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from minidock.cli import launcher

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
    assert heavy("minidock.graph.bundle", "minidock.graph.store") >= {"dataclasses", "inspect", "minidock.graph.store"}


def test_the_launcher_prints_everything_and_ends_with_the_exit_code() -> None:
    code = "from minidock.cli.launcher import launch; launch()"
    for words, exit_code, out in (("--version", 0, "minidock version"), ("--log-level=none ps", 1, "")):
        done = subprocess.run([sys.executable, "-c", code, *words.split()], capture_output=True, text=True)
        assert done.returncode == exit_code
        assert done.stdout.startswith(out)
        assert bool(done.stderr) == bool(exit_code)


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """``minidock`` as `install` writes it, beside a Python that is a link to ours."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    os.symlink(os.path.realpath("/proc/self/exe"), tmp_path / "python")
    path = launcher.install()
    assert path == str(tmp_path / "minidock") and stat.S_IMODE(os.stat(path).st_mode) == 0o755
    assert sorted(os.listdir(tmp_path)) == ["minidock", "python"]
    return path


def test_the_installed_command_runs_anywhere_and_without_an_environment(command: str) -> None:
    done = subprocess.run([command, "--version"], capture_output=True, text=True, cwd="/", env={})
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith("minidock version")


def test_modules_in_the_working_directory_or_named_by_the_environment_are_not_loaded(command: str, tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    for name in ("minidock", "gc", "json", "sitecustomize"):
        (folder / f"{name}.py").write_text("raise SystemExit(f'{__name__} of the working directory')")
    done = subprocess.run([command, "--version"], capture_output=True, text=True, cwd=folder, env={"PYTHONPATH": str(folder)})
    assert (done.returncode, done.stderr) == (0, "")


def test_the_installed_command_finds_docker_py_which_is_not_ours(command: str, tmp_path: Path) -> None:
    done = subprocess.run([command, "-H", f"unix://{tmp_path}/nobody.sock", "ps"], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith(f"Cannot connect to the daemon at unix://{tmp_path}/nobody.sock. Is it running?")
