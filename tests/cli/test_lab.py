"""``./lab`` itself: wrong use, setup again, two at once, without a network, interrupted; the server at a terminal; clean.

Nothing here touches the learner's instance: each call has a MINIDOCK_ROOT of its own, and what would change the machine is
tried on single functions of the script, sourced in a copy of the checkout.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from minidock.daemon.base.paths import Paths
from minidock.daemon.system.teardown import teardown
from tests import leaks
from tests.cli.conftest import Cli
from tests.cli.terminal import Terminal

CHECKOUT = Path(__file__).resolve().parents[2]
LAB = CHECKOUT / "lab"
# `./lab clean` takes away what any chapter has marked on this machine: none may run meanwhile.
CLEANS = pytest.mark.only_one(*(f"chapter-{path.name[:2]}" for path in sorted(CHECKOUT.glob("notebooks/[0-9]*.ipynb"))))
Result = subprocess.CompletedProcess[str]


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """The state root of an instance that is nobody's."""
    yield tmp_path / "root"
    teardown(tmp_path / "root")


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The state root of an instance that ``./lab setup`` has made ready."""
    root = tmp_path_factory.mktemp("lab") / "root"
    leaks.claim(Paths.of(root).instance)
    assert lab("setup", root=root).returncode == 0
    yield root
    teardown(root)


def lab(*args: str, root: Path | None = None, timeout: float = 60, **env: str) -> Result:
    if root:
        env["MINIDOCK_ROOT"] = str(root)
    return subprocess.run(
        [LAB, *args], capture_output=True, text=True, timeout=timeout, cwd="/", env={**os.environ, **env}, check=False
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A checkout with the script and what it reads, and no environment."""
    folder = tmp_path / "copy"
    folder.mkdir()
    for name in ("lab", "pyproject.toml"):
        shutil.copy(CHECKOUT / name, folder)
    return folder


def call(copy: Path, commands: str, **env: str) -> Result:
    """Run `commands` with the functions of the script in `copy`."""
    script = f". {copy}/lab; VENV=$(venv_path); PY=$VENV/bin/python; DEV=; open_log; {commands}"
    return subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, timeout=60, env={**os.environ, **env}, check=False
    )


# -- what is typed --


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["bogus"], 'unknown command "bogus"'),
        (["setup", "--x"], 'setup takes --dev, not "--x"'),
        (["setup", "--dev", "more"], 'setup takes --dev, not "--dev more"'),
        (["clean", "everything"], 'clean takes --all, not "everything"'),
        (["--foo"], 'unknown option "--foo"'),
        (["--port"], "--port wants a value"),
        (["--port", "none"], '--port wants a number from 1 to 65535, not "none"'),
        (["--port=70000"], '--port wants a number from 1 to 65535, not "70000"'),
        (["--port", "0"], '--port wants a number from 1 to 65535, not "0"'),
        (["--ip", "::1", "x"], 'unknown option "x"'),
    ],
)
def test_wrong_use_is_one_line_before_anything_happens(args: list[str], said: str, root: Path) -> None:
    result = lab(*args, root=root)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == f"lab: {said} (see ./lab help)\n"
    assert not root.exists()


@pytest.mark.parametrize("word", ["help", "-h", "--help"])
def test_help_names_every_command(word: str) -> None:
    result = lab(word)
    assert result.returncode == 0
    assert re.findall(r"\./lab ?(\w*)", result.stdout) == ["", "setup", "run", "test", "clean", "help"]


def test_an_address_that_is_not_ours_is_one_line(ready: Path) -> None:
    result = lab("--ip", "192.0.2.1", root=ready)  # TEST-NET-1, RFC 5737
    assert result.returncode == 2
    assert result.stderr == 'lab: cannot listen on --ip "192.0.2.1": Cannot assign requested address (see ./lab help)\n'


def test_an_unknown_chapter_names_those_there_are(ready: Path) -> None:
    result = lab("run", "99", root=ready)
    assert result.returncode == 2
    there = ", ".join(sorted(path.stem for path in (CHECKOUT / "notebooks").glob("[0-9]*.ipynb")))
    assert result.stderr == f"no such chapter: 99 (there are: {there})\n"


# -- who types it, and what ends it early --

# In a mount namespace of its own this machine has one more user, who may use sudo; $1 is what he types, in a login shell with
# the environment that an ssh session gives: none of ours.
LOGIN = """
set -e
cd {etc}
cp -p /etc/passwd /etc/shadow /etc/group . && mkdir sudoers.d
printf 'learner:x:54321:54321::{etc}:/bin/bash\n' >>passwd
printf 'learner:*:20000::::::\n' >>shadow
printf 'learner:x:54321:\n' >>group
printf 'learner ALL=(ALL) NOPASSWD: ALL\n' >sudoers.d/learner && chmod 440 sudoers.d/learner
for name in passwd shadow group sudoers.d; do mount --bind $name /etc/$name; done
exec env -i su - learner -c "$1"
"""
CLEAN = "import os; print(os.geteuid(), {name: os.environ.get(name) for name in ('MINIDOCK_ROOT', 'DISPLAY')})"


@pytest.fixture
def as_learner() -> Iterator[Callable[[str], Result]]:
    """``as_learner(what he types)``, in his copy of the checkout, whose ``lab clean`` only says who runs it."""
    with TemporaryDirectory(dir="/var/tmp") as folder:  # pytest's own are closed to other users
        top = Path(folder)
        top.chmod(0o755)
        (top / "etc").mkdir()
        clean = top / "checkout" / "minidock" / "lab" / "clean.py"
        clean.parent.mkdir(parents=True)
        clean.write_text(CLEAN)
        for name in ("lab", "pyproject.toml"):
            shutil.copy(CHECKOUT / name, top / "checkout")

        def login(typed: str) -> Result:
            script = LOGIN.replace("{etc}", str(top / "etc"))
            namespace = ["unshare", "--mount", "--propagation=private", "sh", "-c", script, "sh"]
            return subprocess.run(
                [*namespace, f"cd {top}/checkout && {typed}"], capture_output=True, text=True, timeout=60, check=False
            )

        yield login


def test_a_plain_user_with_sudo_and_an_empty_environment(as_learner: Callable[[str], Result]) -> None:
    result = as_learner("id -u && ./lab clean")
    assert (result.returncode, result.stdout) == (0, "54321\n0 {'MINIDOCK_ROOT': None, 'DISPLAY': None}\n"), result


def test_sudo_hands_on_what_is_set(as_learner: Callable[[str], Result]) -> None:
    result = as_learner("MINIDOCK_ROOT='/a b' DISPLAY=:7 ./lab clean")
    assert (result.returncode, result.stdout) == (0, "0 {'MINIDOCK_ROOT': '/a b', 'DISPLAY': ':7'}\n"), result


@pytest.mark.parametrize(
    ("commands", "said"),
    [
        ("mktemp() { return 3; }; open_log", "name=$(mktemp)"),
        ("stat() { return 4; }; keep_owner build", 'owner=$(stat -c %u:%g "$HERE")'),
        ("sort() { return 5; }; setup_packages", 'missing=$({ needs; [ -z "$DEV" ] || needs_dev; } | missing_packages)'),
    ],
)
def test_whatever_ends_it_early_says_why(copy: Path, commands: str, said: str) -> None:
    result = call(copy, f"{commands}; echo went on")
    assert result.returncode != 0
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert re.fullmatch(r"lab: line \d+: .* ended with status \d+", line), line
    assert f'"{said}"' in line


@CLEANS
def test_what_ends_the_whole_script_early_is_named_once(root: Path, tmp_path: Path) -> None:
    broken = tmp_path / "stat"
    broken.write_text("#!/bin/sh\nexit 7\n")
    broken.chmod(0o755)
    result = lab("clean", root=root, PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert result.returncode == 7
    assert re.fullmatch(r'lab: line \d+: "owner=\$\(stat .*\)" ended with status 7\n', result.stderr), result.stderr


def test_a_step_beside_others_has_a_log_of_its_own(copy: Path) -> None:
    """What a failed step printed is shown, also of one that runs in the background while the script has closed its log."""
    step = "(open_log; step beside sh -c 'echo words of a failure; exit 1') & wait $!"
    result = call(copy, f"exec 8>&-; {step}")
    assert result.stdout == f"  {'beside':58}  failed\n"
    assert "    words of a failure" in result.stderr


# -- setup --


@pytest.mark.parametrize(
    ("release", "said"),
    [
        ('ID=debian\nVERSION_ID="11"\nPRETTY_NAME="Debian GNU/Linux 11 (bullseye)"', "Debian GNU/Linux 11 (bullseye)"),
        ('ID=ubuntu\nVERSION_ID="22.04"\nPRETTY_NAME="Ubuntu 22.04.4 LTS"', "Ubuntu 22.04.4 LTS"),
    ],
)
def test_an_older_system_is_one_line(copy: Path, tmp_path: Path, release: str, said: str) -> None:
    (tmp_path / "os-release").write_text(release)
    result = call(copy, "require_system", OS_RELEASE=str(tmp_path / "os-release"))
    assert result.stderr == f"lab: needs Debian 12 or 13, or Ubuntu 24.04; this is {said}\n"
    assert result.returncode == 1


@pytest.mark.parametrize("release", ["ID=debian\nVERSION_ID=12", "ID=debian\n", "ID=ubuntu\nVERSION_ID=24.04"])
def test_a_system_that_will_do_is_none(copy: Path, tmp_path: Path, release: str) -> None:
    (tmp_path / "os-release").write_text(release)
    result = call(copy, "require_system", OS_RELEASE=str(tmp_path / "os-release"))
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.measuring
def test_setup_again_takes_less_than_two_seconds(ready: Path) -> None:
    start = time.monotonic()
    result = lab("setup", root=ready)
    assert time.monotonic() - start < 2
    assert result.returncode == 0
    assert all(re.fullmatch(r"  \S.* +\d+\.\d s", line) for line in result.stdout.splitlines())


def test_two_setups_at_once_do_not_harm_each_other(root: Path) -> None:
    env = {**os.environ, "MINIDOCK_ROOT": str(root)}
    both = [subprocess.Popen([LAB, "setup"], stdout=subprocess.PIPE, env=env) for _ in range(2)]
    assert [setup.communicate(timeout=60) and setup.returncode for setup in both] == [0, 0]


def test_setup_killed_during_the_images_is_run_again(root: Path) -> None:
    env = {**os.environ, "MINIDOCK_ROOT": str(root)}
    with subprocess.Popen([LAB, "setup"], stdout=subprocess.DEVNULL, env=env, start_new_session=True) as setup:
        deadline = time.monotonic() + 30
        while not (root / "bootstrap.lock").exists():
            assert time.monotonic() < deadline and setup.poll() is None
            time.sleep(0.01)
        os.killpg(setup.pid, signal.SIGKILL)
    assert lab("setup", root=root).returncode == 0
    assert Cli(root).ok("run", "--rm", "--net=none", "lab", "python3", "-c", "print(6 * 7)") == "42\n"


def test_without_a_network_it_names_what_is_missing(copy: Path) -> None:
    nowhere = "http://127.0.0.1:9"  # discard: nobody listens
    result = call(
        copy, "setup_venv", PIP_INDEX_URL=nowhere, PIP_NO_CACHE_DIR="1", PIP_CONFIG_FILE=os.devnull, PIP_FIND_LINKS="",
        https_proxy=nowhere, http_proxy=nowhere,
    )  # fmt: skip
    assert result.returncode == 1
    last = result.stderr.splitlines()[-1]
    assert last.startswith("lab: cannot install the Python packages: docker==")
    assert "jupyterlab==" in last and last.endswith("(is there a network?)")


def test_packages_that_are_missing_are_told_apart_by_what_is_there(copy: Path) -> None:
    table = r"nothing-of-this-name a\nsh b\n/nowhere/*.so c\n/bin/s* d\npython:os e\npython:nothing_of_this f\nx|sh g\n"
    assert call(copy, f"printf '{table}' | missing_packages").stdout == "a\nc\nf\n"


def test_a_half_made_environment_is_thrown_away(copy: Path) -> None:
    half = copy / ".venv"
    (half / "bin").mkdir(parents=True)
    (half / "bin" / "python").symlink_to("/usr/bin/python3.99")  # a distribution upgrade took it away
    (half / ".lab-stamp").write_text("whatever")
    result = call(copy, "requirements() { :; }; make_launcher() { :; }; mkdir minidock; setup_venv")
    assert result.returncode == 0, result
    assert (half / "bin" / "python").exists()
    assert not (half / ".making").exists()


def test_no_service_starts_while_a_setup_runs_and_again_when_it_was_killed(copy: Path, tmp_path: Path) -> None:
    lock, policy, note = (tmp_path / name for name in ("lock", "policy-rc.d", "services"))
    places = f"LOCK={lock} POLICY={policy} SWITCH_OFF={note}"
    result = call(copy, f"{places}; exec 9>$LOCK; flock 9; forbid_services; $POLICY docker start || echo $?; kill -9 $$")
    assert result.returncode == -signal.SIGKILL
    assert result.stdout == "101\n"
    assert policy.exists()
    assert subprocess.run([policy, "docker", "start"], check=False).returncode == 0
    assert not policy.exists()  # it took itself away


def test_somebody_elses_policy_stays(copy: Path, tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    call(copy, f"LOCK={tmp_path}/lock POLICY={policy} SWITCH_OFF={tmp_path}/services; forbid_services; allow_services")
    assert policy.read_text() == "#!/bin/sh\nexit 101\n"
    assert not (tmp_path / "services").exists()


def test_files_keep_the_owner_of_the_checkout(copy: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.touch()
    (copy / "build" / "report").mkdir(parents=True)
    (copy / "build" / "report" / "index.html").touch()
    (copy / "build" / "link").symlink_to(outside)
    os.chown(copy, 12345, 23456)
    assert call(copy, f'cd {copy}; keep_owner "${{OURS[@]}}"').returncode == 0
    owners = {(s.st_uid, s.st_gid) for p in (copy / "build").rglob("*") for s in (p.lstat(),)}
    assert owners == {(12345, 23456)}
    assert outside.stat().st_uid == 0


# -- the server --


@pytest.fixture
def terminal(ready: Path) -> Iterator[Terminal]:
    env = {**os.environ, "MINIDOCK_ROOT": str(ready), "TERM": "xterm"}
    with Terminal([str(LAB), "--port", str(free_port())], env, columns=200) as terminal:
        yield terminal
        if terminal.process.poll() is None:
            terminal.type("\x03")
            terminal.exit_code()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def ask(url: str, path: str, data: bytes | None = None, *, token: bool = True) -> object:
    """The answer of Jupyter's REST API at the printed address."""
    base, _, secret = url.partition("/lab/tree/00-preflight.ipynb?token=")
    headers = {"Authorization": f"token {secret}"} if token else {}
    with urllib.request.urlopen(urllib.request.Request(base + path, data, headers), timeout=30) as answer:
        return json.load(answer)


def kernels(root: Path) -> list[str]:
    """Processes of kernels that a server on the instance `root` has started."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (
                b"ipykernel_launcher" in (folder / "cmdline").read_bytes()
                and os.fsencode(root) in (folder / "environ").read_bytes()
            ):
                found.append(folder.name)
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def test_the_server_prints_one_address_wants_its_token_and_ends_with_its_kernels(terminal: Terminal, ready: Path) -> None:
    url = terminal.expect(r"JupyterLab: (http://127\.0\.0\.1:\d+/lab/tree/00-preflight\.ipynb\?token=[0-9a-f]{48})\r\n")[1]
    ask(url, "/api/kernels", b'{"name": "python3"}')
    assert kernels(ready)
    with pytest.raises(urllib.error.HTTPError, match="403"):
        ask(url, "/api/kernels", token=False)
    port = int(re.findall(r":(\d+)/", url)[0])
    listening = [line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines() if line.split()[3] == "0A"]
    assert [where for where in listening if where.endswith(f":{port:04X}")] == [f"0100007F:{port:04X}"]
    start = time.monotonic()
    terminal.type("\x03")
    assert terminal.exit_code() in (0, 130)
    assert time.monotonic() - start < 10
    assert "Traceback" not in terminal.seen, terminal.seen
    assert not kernels(ready)


def test_a_taken_port_is_the_next_one(ready: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = int(taken.getsockname()[1])
        env = {**os.environ, "MINIDOCK_ROOT": str(ready), "TERM": "xterm"}
        with Terminal([str(LAB), f"--port={port}"], env, columns=200) as terminal:
            used = int(terminal.expect(r"http://127\.0\.0\.1:(\d+)/")[1])
            terminal.type("\x03")
            assert terminal.exit_code() in (0, 130)
    assert port < used <= port + 50


def test_what_the_server_saves_keeps_the_owner_of_its_folder(tmp_path: Path) -> None:
    from minidock.lab.server import Files

    os.chown(tmp_path, 12345, 23456)
    files = Files(root_dir=str(tmp_path))
    notebook = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}

    async def save_and_keep() -> None:
        await files.save({"type": "notebook", "format": "json", "content": notebook}, "new.ipynb")
        await files.create_checkpoint("new.ipynb")
        await files.save({"type": "notebook", "format": "json", "content": notebook}, "new.ipynb")

    asyncio.run(save_and_keep())
    made = list(tmp_path.rglob("*"))
    assert len(made) == 3  # the notebook, the checkpoints' folder and a checkpoint
    assert {(p.stat().st_uid, p.stat().st_gid) for p in made} == {(12345, 23456)}


# -- clean --


@CLEANS
def test_clean_takes_all_of_one_instance_and_nothing_of_another(root: Path, tmp_path: Path) -> None:
    other = Cli(tmp_path / "other")
    ours = Cli(root)
    try:
        for cli in (ours, other):
            cli.ok("bootstrap")
            cli.ok("run", "-d", "--name=runs", "busybox", "sleep", "1000")
            cli.ok("run", "-d", "--name=paused", "--net=none", "busybox", "sleep", "1000")
            cli.ok("pause", "paused")
            cli.ok("run", "-d", "--name=again", "--net=none", "--restart=always", "busybox", "false")
        for _ in range(2):  # the second time there is nothing
            result = lab("clean", root=root)
            assert (result.returncode, result.stderr) == (0, "")
            assert left(root) == []
        assert sorted(other.ok("ps", "--format", "{{.Names}}").split()) == ["again", "paused", "runs"]
        assert left(other.root)
        subprocess.run(["rm", "-rf", other.root], stderr=subprocess.DEVNULL, check=False)  # somebody's idea of cleaning
    finally:
        teardown(other.root)
    assert left(other.root) == []


@CLEANS
def test_clean_keeps_what_the_reader_made(root: Path) -> None:
    folder = CHECKOUT / "build"
    made = not folder.exists()
    folder.mkdir(exist_ok=True)
    before = folder.stat().st_ino
    assert lab("clean", root=root).returncode == 0
    assert folder.stat().st_ino == before
    if made:
        folder.rmdir()


@CLEANS
def test_clean_deletes_nothing_through_a_mount(root: Path, tmp_path: Path) -> None:
    Cli(root).ok("info")
    data, point = tmp_path / "data", root / "volumes" / "my dätä" / "_data"
    data.mkdir()
    (data / "precious").touch()
    point.mkdir(parents=True)
    for _ in range(2):
        subprocess.run(["mount", "--bind", data, point], check=True)
    assert lab("clean", root=root).returncode == 0
    assert (data / "precious").exists()
    assert not root.exists()


@CLEANS
def test_clean_leaves_a_state_folder_that_is_a_disk_of_its_own(root: Path) -> None:
    root.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", root], check=True)
    try:
        Cli(root).ok("info")
        assert os.listdir(root)
        assert lab("clean", root=root).returncode == 0
        assert not os.listdir(root)
    finally:
        subprocess.run(["umount", root], check=True)


def left(root: Path) -> list[str]:
    """What of the instance in `root` is on the machine."""
    paths = Paths.of(root)
    digits = paths.instance.removeprefix("minidock-")
    rules = subprocess.run(["iptables-save"], capture_output=True, text=True, check=True).stdout
    commands = [p.read_bytes() for p in Path("/proc").glob("[0-9]*/cmdline") if p.exists()]
    return [
        *(str(p) for p in (paths.root, paths.run, Path(f"/sys/class/net/md-{digits}")) if p.exists()),
        *(str(p) for p in Path("/sys/fs/cgroup").glob(f"*/{paths.instance}")),
        *(line for line in rules.splitlines() if digits.upper() in line),
        *(str(line) for line in commands if os.fsencode(paths.run) in line or b"exits.entry\0" + os.fsencode(root) in line),
    ]
