"""Streams that are closed, full, or that nobody reads: one line at most, docker's exit code, and never a traceback."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import MINIDOCK, Cli

pytestmark = pytest.mark.root
FULL = "write /dev/stdout: no space left on device\n"
# Every command that prints. `up` runs and has written a line, `done` has ended.
COMMANDS = (
    *("--help", "--version", "container --help", "ps --help"),
    *("ps", "ps -q", "ps --format json", "images", "images -q", "history busybox", "history -q busybox"),
    *("inspect up", "inspect -f {{.Id}} up", "image inspect busybox", "container inspect up"),
    *(
        "version",
        "version -f {{.Client}}",
        "info",
        "info -f {{.ID}}",
        "top up",
        "stats --no-stream up",
        "logs up",
        "logs -t up",
    ),
    *("kill -s CONT up", "restart -t 0 up", "start up", "stop done", "wait done", "update --pids-limit 100 up"),
    *("create --net=none busybox", "run -d --net=none busybox true", "run --rm --net=none busybox echo hi", "start -a done"),
    *("exec up echo hi", "export up", "import {tar} made", "load -i {archive}"),
    "load -q -i {archive}",
)
# Their output is the container's, and docker's client gets each signal for it, SIGPIPE too (see terminal/session.py).
PROXIES = ("run --rm", "start -a")


@pytest.fixture(scope="module")
def files(instance: Cli, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A root file system, and an archive as docker saves it."""
    import json
    import tarfile
    from hashlib import sha256

    folder = tmp_path_factory.mktemp("files")
    tar, archive = folder / "root.tar", folder / "image.tar"
    id = instance.ok("create", "--net=none", "busybox").strip()
    instance.ok("export", "-o", str(tar), id)
    instance.ok("rm", id)
    layer = sha256(tar.read_bytes()).hexdigest()
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": ["loaded:latest"], "Layers": ["root.tar"]}]
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with tarfile.open(archive, "w") as out:
        for name in ("config.json", "manifest.json", "root.tar"):
            out.add(folder / name, name)
    yield {"tar": str(tar), "archive": str(archive)}
    instance("rmi", "loaded", "made")


@pytest.fixture
def shell(cli: Cli, files: dict[str, str]) -> Iterator[Cli]:
    """The command beside the containers up and done."""
    cli.ok("run", "-d", "--name=up", "--net=none", "busybox", "sh", "-c", "echo on; exec sleep 1000")
    cli.ok("run", "--name=done", "--net=none", "busybox", "echo", "over")
    yield cli


def arguments(command: str, files: dict[str, str]) -> list[str]:
    return [files.get(word.strip("{}"), word) for word in shlex.split(command)]


def run(cli: Cli, command: str, redirected: str = "", **files: str) -> subprocess.CompletedProcess[str]:
    """``minidock COMMAND REDIRECTED``, by a shell."""
    words = " ".join(
        shlex.quote(word.format(**files) if word in ("{tar}", "{archive}") else word) for word in shlex.split(command)
    )
    return subprocess.run(
        ["bash", "-c", f"exec {MINIDOCK} {words} {redirected}"],
        stdin=subprocess.DEVNULL, capture_output=True, env=cli.env, timeout=60, check=False, encoding="utf-8", errors="replace",
    )  # fmt: skip


def unread(cli: Cli, command: str, **files: str) -> tuple[int, str]:
    """Exit code and standard error of a command whose standard output nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    words = arguments(command, files)
    done = subprocess.run(
        [MINIDOCK, *words], stdin=subprocess.DEVNULL, stdout=writer, stderr=subprocess.PIPE, env=cli.env, timeout=60, text=True
    )
    os.close(writer)
    return done.returncode, done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_each_way_in_which_a_stream_is_none(shell: Cli, files: dict[str, str], command: str) -> None:
    usual = run(shell, command, **files)
    assert usual.returncode == 0 and usual.stdout, usual
    for redirected in (">&-", "<&- >&- 2>&-"):
        done = run(shell, command, redirected, **files)
        assert (done.returncode, done.stdout) == (0, ""), (redirected, done)
    for redirected in ("<&-", "2>&-"):
        done = run(shell, command, redirected, **files)
        assert done.returncode == 0 and done.stdout, (redirected, done)
    done = run(shell, command, ">/dev/full", **files)
    assert (done.returncode, done.stderr) == (1, usual.stderr + FULL)
    shell.ok("wait", "done")  # what could not write its output did not wait for the end of what it had started
    broken = (1, usual.stderr + "write /dev/stdout: broken pipe\n") if command.startswith(PROXIES) else (141, usual.stderr)
    assert unread(shell, command, **files) == broken


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("kill nosuch", 1),
        ("run --rm --net=none nosuch", 125),
        ("nosuch", 1),
        ("ps --nosuch", 125),
        ("ps x", 1),
        ("exec up nosuch", 127),
    ],
)
def test_a_complaint_that_cannot_be_told_changes_no_exit_code(shell: Cli, command: str, code: int) -> None:
    assert run(shell, command).returncode == code
    for redirected in ("2>/dev/full", "2>&-", "2>/dev/full >/dev/full"):
        done = run(shell, command, redirected)
        assert (done.returncode, done.stdout, done.stderr) == (code, "", ""), (redirected, done)


def test_a_containers_own_errors_that_cannot_be_written(shell: Cli) -> None:
    command = "run --rm --net=none busybox sh -c 'echo err >&2; exit 3'"
    assert run(shell, command, "2>/dev/full").returncode == 1
    assert run(shell, command, "2>&-").returncode == 3


def test_what_cannot_be_printed_does_not_stop_the_work(shell: Cli) -> None:
    done = run(shell, "rm -f up nosuch done", ">/dev/full")
    assert (done.returncode, done.stderr) == (1, "Error response from daemon: No such container: nosuch\n" + FULL)
    assert shell.ok("ps", "-aq") == ""


@pytest.mark.parametrize("command", ["load", "load -q"])
def test_an_archive_from_a_closed_or_empty_stream(shell: Cli, command: str) -> None:
    for redirected in ("<&-", "</dev/null"):
        done = run(shell, command, redirected)
        assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1), done
        assert "internal error" not in done.stderr


def test_a_stream_that_can_only_be_written(shell: Cli, tmp_path: Path) -> None:
    for command in ("load", "import - made"):
        done = run(shell, command, f"0>{tmp_path}/file")
        assert (done.returncode, done.stdout, done.stderr) == (1, "", "read /dev/stdin: bad file descriptor\n")
    done = run(shell, "ps", "1</dev/null")
    assert (done.returncode, done.stderr) == (1, "write /dev/stdout: bad file descriptor\n")


def test_a_process_inside_whose_input_is_closed_outside(shell: Cli) -> None:
    for command in ("run -i --rm --net=none busybox cat", "exec -i up cat"):
        done = run(shell, command, "<&-")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert run(shell, "run -it --rm --net=none busybox cat", "<&-").stderr == "the input device is not a TTY\n"


def test_a_slow_reader_of_a_non_blocking_pipe_gets_everything(shell: Cli, files: dict[str, str]) -> None:
    """ssh and some shells leave a stream non-blocking: a full pipe is no error then."""
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    os.set_blocking(reader, True)
    with subprocess.Popen([MINIDOCK, "export", "up"], stdout=writer, env=shell.env) as command:
        os.close(writer)
        size = 0
        while data := os.read(reader, 1 << 16):
            size += len(data)
    os.close(reader)
    assert (command.returncode, size) == (0, os.path.getsize(files["tar"]))


def test_text_is_utf_8_whatever_the_locale(shell: Cli) -> None:
    shell.ok("create", "--name=named", "--net=none", "--label=who=J\u00fcrgen\u2026", "busybox")
    for locale in ("C", "en_US.ISO-8859-1", "POSIX"):
        assert "who=J\u00fcrgen\u2026" in shell("ps", "-a", "--format={{.Labels}}", LC_ALL=locale).stdout


def test_interrupted_before_anything_was_begun(cli: Cli) -> None:
    """Ctrl-C while the modules are being loaded: no traceback either."""
    code = "import signal, sys; from minidock.cli import launcher, streams; streams.install = lambda: signal.raise_signal(2); "
    done = subprocess.run(
        [os.path.realpath("/proc/self/exe"), "-c", f"import sys; sys.path[:0] = {sys.path!r}; {code} launcher.launch()"],
        capture_output=True, text=True, env=cli.env,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (128 + signal.SIGINT, "")
