from __future__ import annotations

import os
import signal

from minidock.linux import tty
from tests.linux.libcontainer.children import in_child


def test_a_pair_its_name_and_its_size() -> None:
    master = tty.openpt()
    try:
        tty.unlockpt(master)
        slave = tty.open_slave(master)
        try:
            assert os.ttyname(slave) == tty.ptsname(master)
            tty.set_size(master, 12, 34)
            assert tty.get_size(slave) == (12, 34)
            os.write(slave, b"seen")
            assert os.read(master, 4) == b"seen"
            assert not os.get_inheritable(slave)
        finally:
            os.close(slave)
    finally:
        os.close(master)


def test_the_controlling_terminal_gets_the_keys() -> None:
    def body() -> int:
        master = tty.openpt()
        tty.unlockpt(master)
        slave = tty.open_slave(master)
        child = os.fork()
        if child == 0:
            os.setsid()
            tty.set_controlling(slave)
            os.write(slave, b"!")
            signal.pause()
        assert os.read(master, 1) == b"!"
        os.write(master, b"\x03")
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        assert in_child(body) == -signal.SIGINT
    finally:
        signal.signal(signal.SIGINT, before)
