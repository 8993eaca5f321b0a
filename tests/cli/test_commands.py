"""The other verbs: what they print, and how they go on after one argument that cannot be."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from minidock.daemon.base.paths import Paths
from tests.cli.conftest import MINIDOCK, Cli
from tests.cli.terminal import Terminal

pytestmark = pytest.mark.root
Background = Callable[..., str]


def test_ps(cli: Cli, background: Background) -> None:
    """The listing has docker's columns, and scripts that read `ps -q` or `--format` find what they find with docker."""
    id = background("--name=up", "-l", "a=b")
    cli.ok("create", "--name=made", "--net=none", "busybox")
    head, line = cli.ok("ps").splitlines()
    assert re.split(r"\s{3,}", head) == ["CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"]
    assert re.fullmatch(rf'{id[:12]}   busybox   "sleep 1000"   .* ago\s+Up .*   up', line)
    assert cli.ok("ps", "-aq", "--no-trunc", "-f", "name=up") == f"{id}\n"
    assert cli.ok("ps", "-l", "--format", "{{.Names}} {{.State}}") == "made created\n"
    assert cli.ok("ps", "-an1", "--format={{.Names}}") == "made\n"
    assert cli.ok("container", "ls", "-f", "label=a", "--format", '{{.Names}}={{.Label "a"}}') == "up=b\n"
    assert json.loads(cli.ok("ps", "--format=json"))["Names"] == "up"
    assert "(virtual " in cli.ok("ps", "-s")
    assert cli("ps", "-f", "nope=x").returncode == 1


def test_one_that_cannot_be_does_not_stop_the_others(cli: Cli, background: Background) -> None:
    one, two = background(), background()
    for verb in (["pause"], ["unpause"], ["stop", "-t0"], ["start"], ["restart", "-t0"], ["kill"], ["wait"], ["rm"]):
        result = cli(*verb, one, "nosuch", two)
        expected = "137\n137\n" if verb == ["wait"] else f"{one}\n{two}\n"
        assert (result.stdout, result.returncode) == (expected, 1), (verb, result)
        assert "Error response from daemon: No such container: nosuch\n" in result.stderr
    assert cli.ok("ps", "-aq") == ""


def test_rm_of_what_runs_and_of_what_is_not_there(cli: Cli, background: Background) -> None:
    id = background()
    result = cli("rm", id)
    assert result.returncode == 1
    assert "running" in result.stderr
    assert cli.ok("rm", "-f", id, "nosuch") == f"{id}\n"


def test_inspect(cli: Cli, background: Background) -> None:
    """A script finds containers and images by name or short id, with docker's fields and formats."""
    id = background("--name=box")
    (found,) = json.loads(cli.ok("inspect", "box"))
    assert (found["Id"], found["State"]["Running"]) == (id, True)
    assert cli.ok("inspect", "-f", "{{.Name}} {{.State.Status}}", id[:12]) == "/box running\n"
    both = json.loads(cli.ok("inspect", "busybox", "box"))
    assert [thing["Id"][:6] for thing in both] == ["sha256", id[:6]]
    assert cli("inspect", "--type=image", "box").returncode == 1
    result = cli("inspect", "nosuch", "box")
    assert (json.loads(result.stdout)[0]["Id"], result.stderr, result.returncode) == (id, "Error: No such object: nosuch\n", 1)
    result = cli("inspect", "nosuch")
    assert (result.stdout, result.returncode) == ("[]\n", 1)
    assert json.loads(cli.ok("container", "inspect", "-s", "box"))[0]["SizeRootFs"] > 0
    result = cli("inspect", "-f", "{{.Nope}}", "box")
    assert (result.stdout, result.returncode) == ("\n", 1)
    assert result.stderr == 'template parsing error: template: :1:2: executing "" at <.Nope>: map has no entry for key "Nope"\n'


def test_logs(cli: Cli) -> None:
    """What a container wrote comes back on the stream that it was written to, and the options cut it as docker's do."""
    cli.ok("run", "--name=box", "--net=none", "busybox", "sh", "-c", "for i in 1 2 3; do echo out$i; done; echo err >&2")
    result = cli("logs", "box")
    assert (result.stdout, result.stderr) == ("out1\nout2\nout3\n", "err\n")
    assert cli.ok("logs", "-n", "2", "box", stdin="").splitlines()[-1].startswith("out3")
    assert re.fullmatch(r"(\d{4}-\d\d-\d\dT[\d:.]+Z out\d\n){3}", cli.ok("logs", "-t", "box"))
    assert cli.ok("logs", "--until=1h", "box") == ""
    merged = subprocess.run(
        [MINIDOCK, "logs", "box"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=cli.env, check=True
    )
    assert merged.stdout.decode().split() == ["out1", "out2", "out3", "err"]
    assert cli("logs", "nosuch").stderr == "Error response from daemon: No such container: nosuch\n"


def test_logs_follow_until_the_end(cli: Cli) -> None:
    id = cli.ok("run", "-di", "--net=none", "busybox", "sh", "-c", "echo first; read x; echo last").strip()
    with cli.terminal("logs", "-f", id) as reader:
        reader.expect("first")
        with cli.terminal("attach", id) as user:
            user.type("go\n")
            reader.expect("last")
            assert reader.exit_code() == 0
            assert user.exit_code() == 0


def test_following_ends_with_ctrl_c(cli: Cli, background: Background) -> None:
    id = cli.ok("run", "-d", "--net=none", "busybox", "sh", "-c", "echo first; sleep 1000").strip()
    with cli.terminal("logs", "-f", id) as reader:
        reader.expect("first")
        reader.type("\x03")
        assert reader.exit_code() == 130


def test_a_foreground_exec_leaves_no_record(cli: Cli, background: Background) -> None:
    id = background()
    kept = Paths.of(cli.root).exec
    before = set(os.listdir(kept))
    assert cli("exec", id, "sh", "-c", "exit 7").returncode == 7
    assert set(os.listdir(kept)) - before <= {"looked"}
    cli.ok("exec", "-d", id, "true")  # the control: of a detached one the end may still be asked for
    assert set(os.listdir(kept)) - before - {"looked"}


def test_exec(cli: Cli, background: Background) -> None:
    """A command in a running container has its own options, its streams and its exit code."""
    id = background("-e", "A=1")
    result = cli(
        "exec",
        "-i",
        "-e",
        "B=2",
        "-w",
        "/tmp",
        "-u",
        "1000",
        id,
        "sh",
        "-c",
        "cat; pwd; id -u; echo $A$B; echo e >&2; exit 6",
        stdin="in\n",
    )
    assert (result.stdout, result.stderr, result.returncode) == ("in\n/tmp\n1000\n12\n", "e\n", 6)
    assert cli("exec", id, "nope").returncode == 127
    assert cli("exec", id, "/etc/passwd").returncode == 126
    assert cli("exec", "-u", "nosuch", id, "true").returncode == 126
    assert cli.ok("exec", "-d", id, "touch", "/made") == ""
    assert cli.ok("exec", id, "sh", "-c", "until ls /made; do :; done").splitlines()[-1] == "/made"
    cli.ok("stop", "-t0", id)
    result = cli("exec", id, "true")
    assert (result.stderr, result.returncode) == (f"Error response from daemon: Container {id} is not running\n", 1)


def test_top(cli: Cli, background: Background) -> None:
    """`top` shows the container's processes under ps's own titles."""
    id = background()
    head, line = cli.ok("top", id).splitlines()
    assert head.split() == ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]
    assert line.endswith("sleep 1000")
    assert [row.split()[-1] for row in cli.ok("top", id, "-o", "pid,comm").splitlines()] == ["COMMAND", "sleep"]


def test_attach_refuses_what_does_not_run(cli: Cli, background: Background) -> None:
    id = background()
    cli.ok("pause", id)
    assert cli("attach", id).stderr == "You cannot attach to a paused container, unpause it first\n"
    cli.ok("unpause", id)
    cli.ok("stop", "-t0", id)
    assert cli("attach", id).stderr == "You cannot attach to a stopped container, start it first\n"


def test_rename(cli: Cli, background: Background) -> None:
    """The new name is found, the old one is free and no longer known."""
    background("--name=old")
    cli.ok("rename", "old", "new")
    assert cli.ok("ps", "--format={{.Names}}") == "new\n"
    assert cli("rename", "old", "x").returncode == 1


def test_images_from_a_container_and_back(cli: Cli, tmp_path: Path) -> None:
    id = cli.ok("create", "--net=none", "busybox").strip()
    cli.ok("export", "-o", f"{tmp_path}/files.tar", id)
    assert [p.name for p in tmp_path.iterdir()] == ["files.tar"]
    with tarfile.open(tmp_path / "files.tar") as tar:
        assert "bin/busybox" in tar.getnames()
    image = cli.ok("import", "-c", 'CMD ["echo", "imported"]', f"{tmp_path}/files.tar", "mine:1").strip()
    assert cli.ok("images", "-q", "--no-trunc", "mine") == f"{image}\n"
    assert cli.ok("run", "--rm", "--net=none", "mine:1") == "imported\n"
    cli.ok("tag", "mine:1", "mine:2")
    assert sorted(cli.ok("images", "--format", "{{.Repository}}:{{.Tag}}", "mine").split()) == ["mine:1", "mine:2"]
    assert "Imported from" in cli.ok("history", "mine:1")
    assert cli.ok("rmi", "mine:2") == "Untagged: mine:2\n"
    result = cli("rmi", "nosuch", "mine:1")
    assert result.returncode == 1
    assert result.stdout.startswith("Untagged: mine:1\nDeleted: sha256:")
    assert result.stderr == "Error response from daemon: No such image: nosuch:latest\n"


def test_export_takes_no_device_pipe_or_link_away(cli: Cli, tmp_path: Path) -> None:
    """A rename would put a file in its place, be it the machine's /dev/null. (These are nodes of the test's own.)"""
    id = cli.ok("create", "--net=none", "busybox").strip()
    os.mknod(tmp_path / "null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("elsewhere")
    (tmp_path / "folder").mkdir()
    words = {
        "null": "character device file",
        "pipe": "named pipe (FIFO)",
        "link": "symbolic link directly",
        "folder": "directory",
    }
    for name, what in words.items():
        before = os.lstat(tmp_path / name)
        result = cli("export", "-o", str(tmp_path / name), id)
        assert (result.returncode, result.stderr) == (1, f"failed to export container: cannot write to a {what}\n")
        assert os.lstat(tmp_path / name).st_ino == before.st_ino
    assert sorted(os.listdir(tmp_path)) == sorted(words)
    cli.ok("export", "-o", str(tmp_path / "file"), id)
    cli.ok("export", "-o", str(tmp_path / "file"), id)  # a file is what may be replaced


def test_import_reads_a_pipe_of_the_shells(cli: Cli) -> None:
    id = cli.ok("create", "--net=none", "busybox").strip()
    script = f"{MINIDOCK} import <({MINIDOCK} export {id}) piped && {MINIDOCK} run --rm --net=none piped echo works"
    result = subprocess.run(["bash", "-c", script], env=cli.env, capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stdout.splitlines()[1:]) == (0, ["works"]), result
    cli.ok("rmi", "piped")


def test_odd_values_are_refused_in_one_line(cli: Cli, background: Background, tmp_path: Path) -> None:
    id = background()
    for words in (("kill", "-s", "\u00b2", id), ("ps", "-f", "exited=\u00b2"), ("import", str(tmp_path / "nosuch"), "x")):
        result = cli(*words)
        assert (result.returncode, len(result.stderr.splitlines())) == (1, 1), result
        assert "internal error" not in result.stderr
    assert cli("logs", "--tail", "\u00b2", id).returncode == 0
    (tmp_path / "gone").mkdir()
    script = f"cd {tmp_path}/gone && rmdir {tmp_path}/gone && {MINIDOCK} run --net=none -v .:/x busybox true"
    result = subprocess.run(["bash", "-c", script], env=cli.env, capture_output=True, text=True, timeout=60)
    assert result.returncode == 125 and "Error response from daemon" in result.stderr, result


def test_export_refuses_a_terminal(cli: Cli) -> None:
    id = cli.ok("create", "--net=none", "busybox").strip()
    with cli.terminal("export", id) as user:
        user.expect("cowardly refusing to save to a terminal")
        assert user.exit_code() == 1


def test_load_of_what_is_no_archive(cli: Cli) -> None:
    result = cli("load", stdin="this is no tar")
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    assert "internal error" not in result.stderr


def test_version_and_info(cli: Cli) -> None:
    text = cli.ok("version")
    assert re.search(r"^Client:\n Version: +\d", text)
    assert re.search(r"^Server:\n Engine:\n  Version: +\d", text, re.MULTILINE)
    assert cli.ok("version", "-f", "{{.Server.ApiVersion}}") == "1.41\n"
    assert re.search(r"^ Storage Driver: \w+$", cli.ok("info"), re.MULTILINE)
    assert cli.ok("info", "--format", "{{.Driver}} {{.DockerRootDir}}").endswith(f"{cli.root}\n")
    assert cli.ok("--version").startswith("minidock version ")


def test_bootstrap_twice_is_quick_and_on_a_terminal_moves(cli: Cli) -> None:
    cli.ok("bootstrap")
    with Terminal([MINIDOCK, "bootstrap"], cli.env) as user:
        assert user.exit_code() == 0
