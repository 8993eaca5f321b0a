"""``run -it`` and its kin on a real terminal: what a user types, sees, and gets back."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from tests.cli.conftest import Cli

pytestmark = pytest.mark.root
SHELL = ("run", "-it", "--rm", "--net=none", "busybox", "sh")


def test_a_shell_echoes_runs_and_gives_its_exit_code(cli: Cli) -> None:
    with cli.terminal(*SHELL) as user:
        user.expect(r"/ # ")
        user.type("echo $((40 + 2)) $TERM; tty\n")
        user.expect(r"42 xterm\r\n/dev/(console|pts/0)\r\n")
        user.expect(r"/ # ")
        user.type("exit 7\n")
        assert user.exit_code() == 7


def test_raw_mode_comes_and_goes(cli: Cli) -> None:
    with cli.terminal(*SHELL) as user:
        user.expect(r"/ # ")
        assert user.mode() != user.before
        user.type("exit\n")
        assert user.exit_code() == 0
        assert user.mode() == user.before


def test_job_control_inside(cli: Cli) -> None:
    with cli.terminal(*SHELL) as user:
        user.expect(r"/ # ")
        user.type("sh -c 'echo on; exec sleep 1000'\n")
        user.expect(r"\non\r\n")
        user.type("\x1a")  # Ctrl-Z
        user.expect(r"Stopped")
        user.type("jobs\n")
        user.expect(r"\[1\].*Stopped.*sleep")
        user.type("kill %1; fg\n")
        user.expect(r"/ # ")
        user.type("sh -c 'echo on; exec sleep 1000'\n")
        user.expect(r"\non\r\n")
        user.type("\x03")  # Ctrl-C ends the sleep, not the shell
        user.expect(r"/ # ")
        user.type("exit\n")
        user.exit_code()


def test_window_size_at_first_and_after_a_pull(cli: Cli) -> None:
    with cli.terminal(*SHELL, rows=33, columns=111) as user:
        user.expect(r"/ # ")
        user.type("stty size\n")
        user.expect(r"33 111\r\n")
        user.type("trap 'stty size' WINCH; echo set\n")
        user.expect(r"\nset\r\n")
        user.resize(44, 122)
        # the signal travels by itself: ask until the new size has arrived
        user.type("until stty size | grep '44 122'; do :; done\n")
        user.expect(r"\r\n44 122\r\n")
        user.type("exit\n")
        user.exit_code()


def test_vi_draws_saves_and_leaves(cli: Cli) -> None:
    with cli.terminal(*SHELL) as user:
        user.expect(r"/ # ")
        user.type("vi /tmp/letter\n")
        user.expect(r"/tmp/letter")
        user.type("ihello from vi")
        user.expect(r"I /tmp/letter")
        user.type("\x1b")
        user.expect(r"- /tmp/letter")
        user.type(":wq\r")
        user.expect(r"/ # ")
        user.type("cat /tmp/letter\n")
        user.expect(r"\r\nhello from vi\r\n")
        user.type("exit\n")
        user.exit_code()


def test_colours_pass(cli: Cli) -> None:
    """Escape sequences reach the user's terminal unchanged."""
    with cli.terminal("run", "-it", "--rm", "--net=none", "busybox", "ls", "--color=always", "-d", "/tmp") as user:
        user.expect(r"\x1b\[[0-9;]*m/tmp\x1b\[[0-9;]*m")
        assert user.exit_code() == 0


def test_detach_keys_leave_it_running_and_attach_comes_back(cli: Cli) -> None:
    with cli.terminal("run", "-it", "--name=box", "--net=none", "busybox", "sh") as user:
        user.expect(r"/ # ")
        user.type("there=yes\n")
        user.expect(r"/ # ")
        user.type("\x10\x11")  # Ctrl-P Ctrl-Q
        user.expect(r"read escape sequence")
        assert user.exit_code() == 0
        assert user.mode() == user.before
    assert cli.ok("ps", "--format={{.Names}} {{.State}}") == "box running\n"
    with cli.terminal("attach", "box") as user:
        user.type("echo again:$there\n")
        user.expect(r"again:yes")
        user.type("exit 3\n")
        assert user.exit_code() == 3


def test_own_detach_keys(cli: Cli) -> None:
    with cli.terminal("run", "-it", "--name=box", "--detach-keys=ctrl-x", "--net=none", "busybox", "sh") as user:
        user.expect(r"/ # ")
        user.type("\x10\x11echo still here\n")
        user.expect(r"still here\r\n/ # ")
        user.type("\x18")
        user.expect(r"read escape sequence")
        assert user.exit_code() == 0


def test_exec_with_a_terminal(cli: Cli, background: Callable[..., str]) -> None:
    id = background()
    with cli.terminal("exec", "-it", "-e", "A=b", "-w", "/tmp", id, "sh", rows=22, columns=77) as user:
        user.expect(r"/tmp # ")
        user.type("stty size; echo $A; exit 5\n")
        user.expect(r"22 77\r\nb\r\n")
        assert user.exit_code() == 5


def test_start_interactively(cli: Cli) -> None:
    """`start -ai` is the container's terminal, and gives its exit code."""
    id = cli.ok("create", "-it", "--net=none", "busybox", "sh").strip()
    with cli.terminal("start", "-ai", id) as user:
        user.expect(r"/ # ")
        user.type("exit 4\n")
        assert user.exit_code() == 4


def test_interrupt_without_a_terminal_inside_goes_to_the_process(cli: Cli) -> None:
    script = "trap 'echo got INT; exit 9' INT; echo ready; while :; do sleep 1 & wait; done"
    with cli.terminal("run", "--rm", "--init", "--net=none", "busybox", "sh", "-c", script) as user:
        user.expect(r"ready")
        user.type("\x03")
        user.expect(r"got INT")
        assert user.exit_code() == 9


def test_third_interrupt_gives_up_on_a_process_that_ignores_them(cli: Cli) -> None:
    with cli.terminal(
        "run", "--net=none", "busybox", "sh", "-c", "trap 'echo no' INT; echo ready; while :; do sleep 1 & wait; done"
    ) as user:
        user.expect(r"ready")
        for _ in range(2):
            user.type("\x03")
            user.expect(r"no\r\n")
        user.type("\x03")
        user.expect(r"forcefully exiting")
        assert user.exit_code() == 1


def test_signals_are_handed_on(cli: Cli) -> None:
    with cli.terminal(
        "run", "--rm", "--net=none", "busybox", "sh", "-c", "trap 'exit 42' USR1; echo ready; while :; do sleep 1 & wait; done"
    ) as user:
        user.expect(r"ready")
        user.process.send_signal(signal.SIGUSR1)
        assert user.exit_code() == 42


def test_killed_by_a_signal_is_128_plus_its_number(cli: Cli) -> None:
    with cli.terminal(*SHELL) as user:
        user.expect(r"/ # ")
        user.type("kill -9 $$; kill -9 1; sh -c 'kill -9 $$'; exit $?\n")
        assert user.exit_code() == 137


def test_no_terminal_outside_for_one_inside(cli: Cli) -> None:
    result = cli("run", "-it", "--rm", "busybox", "sh")
    assert (result.returncode, result.stderr) == (1, "the input device is not a TTY\n")


def test_logs_of_a_terminal_are_what_was_seen(cli: Cli) -> None:
    with cli.terminal("run", "-it", "--name=box", "--net=none", "busybox", "echo", "seen") as user:
        assert user.exit_code() == 0
    assert cli.ok("logs", "box").splitlines() == ["seen"]
