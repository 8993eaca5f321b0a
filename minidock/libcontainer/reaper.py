"""``--init``: a pid 1 that does what a pid 1 must (docker's ``--init``, which is tini).

The kernel hands every orphan of a pid namespace to its pid 1, and delivers to it only signals it has a handler for. A command
that was never meant to be init does neither reap nor listen: zombies pile up, and SIGTERM is ignored. With ``--init`` we stay::

    pid 1 "docker-init": sigwait ── SIGCHLD → reap all; the command's own end → end with its status (128+n for signal n)
      └── the command            └─ any other signal → passed on to the command
"""

from __future__ import annotations

import os
import signal
import socket
from typing import NoReturn

from minidock.linux import process, security

# Python itself needs these to work; as a signal to us they would mean that we are broken.
_OURS = {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP, signal.SIGABRT, signal.SIGSYS}


def stay_behind(sock: socket.socket, has_tty: bool) -> None:
    """Fork: the child returns, to become the command; the parent stays as pid 1 and never returns."""
    process.set_title("/sbin/docker-init")
    process.set_name("docker-init")
    watched = set(signal.valid_signals()) - _OURS
    signal.pthread_sigmask(signal.SIG_BLOCK, watched)  # before the fork: no signal can be missed
    command = os.fork()
    if command == 0:
        os.setpgid(0, 0)
        if has_tty:
            os.tcsetpgrp(0, os.getpid())  # SIGTTOU is blocked here, or this would stop us
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        return
    sock.close()  # the command's copy alone tells the parent of its execve
    security.set_dumpable(False)
    _serve(command, watched)


def _serve(command: int, watched: set[signal.Signals]) -> NoReturn:
    while True:
        number = signal.sigwait(watched)
        if number != signal.SIGCHLD:
            try:
                os.kill(command, number)
            except ProcessLookupError:
                continue
            continue
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            if pid == command:
                code = os.waitstatus_to_exitcode(status)
                os._exit(code if code >= 0 else 128 - code)
