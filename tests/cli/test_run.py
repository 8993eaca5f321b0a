"""``run`` without a terminal: streams, exit codes, what is said when it cannot be."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import MINIDOCK, Cli

pytestmark = pytest.mark.root
RUN = ("run", "--rm", "--net=none")


def test_streams_and_exit_code(cli: Cli) -> None:
    result = cli(*RUN, "busybox", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (result.stdout, result.stderr, result.returncode) == ("out\n", "err\n", 7)


def test_stdin_is_sent_and_ends(cli: Cli) -> None:
    assert cli.ok(*RUN, "-i", "busybox", "sh", "-c", "cat; echo end", stdin="one\ntwo\n") == "one\ntwo\nend\n"


def test_without_i_stdin_is_empty(cli: Cli) -> None:
    assert cli.ok(*RUN, "busybox", "cat", stdin="not for it") == ""


def test_a_pipeline_through_a_container_does_not_stand_still(cli: Cli) -> None:
    """Far more than all buffers together, in both directions at once (see terminal/pump.py)."""
    size = 8 << 20
    command = f"head -c {size} /dev/zero | {MINIDOCK} run -i --rm --net=none busybox cat | wc -c"
    result = subprocess.run(["sh", "-c", command], env=cli.env, capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout.strip() == str(size)


def test_a_reader_that_leaves_early_ends_the_command(cli: Cli) -> None:
    command = f"{MINIDOCK} run --rm --net=none busybox yes; echo code $? >&2"
    result = subprocess.run(
        ["bash", "-c", f"( {command} ) | head -1"], env=cli.env, capture_output=True, text=True, timeout=60, check=True
    )
    assert (result.stdout, result.stderr) == ("y\n", "write /dev/stdout: broken pipe\ncode 1\n")


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("nope", 127, 'exec: "nope": executable file not found in $PATH'),
        ("/nope", 127, "no such file or directory"),
        ("/etc", 126, "is a directory"),
        ("/etc/passwd", 126, "permission denied"),
    ],
)
def test_commands_that_cannot_be(cli: Cli, command: str, code: int, words: str) -> None:
    result = cli(*RUN, "busybox", command)
    assert result.returncode == code, result
    assert result.stderr.startswith("minidock: Error response from daemon: ")
    assert words in result.stderr
    assert result.stderr.endswith("\n\nRun 'minidock run --help' for more information\n")
    assert cli.ok("ps", "-aq") == ""


@pytest.mark.parametrize(
    "args",
    [
        ("nosuchimage",),
        ("--name=a b", "busybox"),
        ("-v", "a:b:c:d", "busybox"),
        ("--restart=foo", "busybox"),
        ("--ip=x", "busybox"),
        ("--ip=10.1.1.1", "--net=none", "busybox"),
        ("--cap-add=NOPE", "busybox"),
        ("-w", "relative", "busybox"),
        ("-m", "1k", "busybox"),
        ("--net=nosuchnet", "busybox"),
        ("-u", "nobody-knows-me", "busybox", "true"),
        ("-p", "80", "busybox"),
        ("-P", "busybox"),
        ("--link", "x", "busybox"),
        ("--expose", "80", "busybox"),
    ],
)
def test_the_engines_refusals_are_125_and_leave_nothing(cli: Cli, args: tuple[str, ...]) -> None:
    result = cli("run", "--rm", *args)
    assert result.returncode in (125, 126), result
    assert result.stderr.startswith("minidock: ")
    assert "Traceback" not in result.stderr
    assert "internal error" not in result.stderr
    assert cli.ok("ps", "-aq") == ""


def test_name_in_use(cli: Cli) -> None:
    cli.ok("create", "--name=taken", "--net=none", "busybox")
    result = cli("run", "--name=taken", "busybox")
    assert result.returncode == 125
    assert 'Conflict. The container name "/taken" is already in use by container' in result.stderr


def test_killed_inside(cli: Cli) -> None:
    """A script sees by the exit code (128 + n) that a signal ended the program."""
    assert cli(*RUN, "busybox", "sh", "-c", "sh -c 'kill -9 $$'; exit $?").returncode == 137
    assert cli(*RUN, "--init", "busybox", "sh", "-c", "kill -TERM $$").returncode == 143


def test_detached_prints_the_id_alone(cli: Cli, tmp_path: Path) -> None:
    id = cli.ok("run", "-d", "--net=none", f"--cidfile={tmp_path}/cid", "busybox", "sh", "-c", "exit 3")
    assert (tmp_path / "cid").read_text() == id.strip()
    assert len(id) == 65
    assert cli.ok("wait", id.strip()) == "3\n"


def test_attach_only_what_was_asked_for(cli: Cli) -> None:
    result = cli("run", "-a", "stderr", "--name=box", "--net=none", "busybox", "sh", "-c", "echo out; echo err >&2")
    assert (result.stdout, result.stderr) == ("", "err\n")
    logs = cli("logs", "box")
    assert (logs.stdout, logs.stderr) == ("out\n", "err\n")


def test_options_arrive(cli: Cli, tmp_path: Path) -> None:
    """Each option that is given is felt inside the container."""
    (tmp_path / "env").write_text("FROM_FILE=1\n# no\nOURS\n")
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "file").write_text("shared")
    script = "id -u; pwd; hostname; cat /s/file; echo $A-$FROM_FILE-$OURS; mount | grep -c ' /t '; ulimit -n"
    files = ("--env-file", f"{tmp_path}/env", "-v", f"{tmp_path}/shared:/s:ro", "--tmpfs", "/t:size=1m")
    process = ("-u", "1000:1000", "-w", "/tmp", "-h", "box", "-e", "A=b", "--ulimit", "nofile=77:88")
    result = cli(*RUN, *files, *process, "busybox", "sh", "-c", script, OURS="3")
    assert result.stdout.split() == ["1000", "/tmp", "box", "sharedb-1-3", "1", "77"], result


def test_entrypoint_and_arguments(cli: Cli) -> None:
    assert cli.ok(*RUN, "--entrypoint", "echo", "busybox", "-n", "--foo", "-it") == "--foo -it"


def test_mounts_and_read_only(cli: Cli, tmp_path: Path) -> None:
    script = "touch /x || echo ro; touch /m/x || echo mro; cat /m/f"
    (tmp_path / "f").write_text("f")
    result = cli(*RUN, "--read-only", "--mount", f"type=bind,src={tmp_path},dst=/m,readonly", "busybox", "sh", "-c", script)
    assert result.stdout == "ro\nmro\nf"


def test_hostconfig_of_every_limit_is_kept(cli: Cli) -> None:
    id = cli.ok(
        "create", "-m", "64m", "--memory-swap=-1", "-c", "512", "--cpus=1.5", "--pids-limit=9", "--cpuset=0", "busybox"
    ).strip()
    host = json.loads(cli.ok("inspect", "-f", "{{json .HostConfig}}", id))
    wanted = {
        "Memory": 64 << 20,
        "MemorySwap": -1,
        "CpuShares": 512,
        "NanoCpus": 1_500_000_000,
        "PidsLimit": 9,
        "CpusetCpus": "0",
    }
    assert {key: host[key] for key in wanted} == wanted


def test_not_root_is_told_in_one_line(cli: Cli) -> None:
    command = [MINIDOCK, "ps"]
    result = subprocess.run(
        command, env=cli.env, capture_output=True, text=True, check=False, user=65534, group=65534, extra_groups=[]
    )
    assert (result.returncode, result.stderr) == (1, "minidock needs root: run it with sudo\n"), result
    assert os.geteuid() == 0


def test_a_fault_of_ours_is_one_line_unless_asked_for_more(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")
    result = cli("ps", MINIDOCK_ROOT=str(tmp_path / "file"))
    assert result.returncode != 0
    assert len(result.stderr.splitlines()) == 1, result
