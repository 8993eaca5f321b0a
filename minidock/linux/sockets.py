"""Descriptors over unix sockets (unix(7), SCM_RIGHTS)."""

from __future__ import annotations

import array
import socket


def receive_fds(sock: socket.socket, size: int, max_fds: int) -> tuple[bytes, list[int]]:
    """Receive up to `size` bytes and the descriptors that ride on them, close-on-exec from the first moment.

    ``socket.recv_fds`` would be this, but in Python 3.11 it drops its flags argument, so what it receives is inherited by
    every program executed later. Descriptors beyond `max_fds` are closed by the kernel.
    """
    item = array.array("i").itemsize
    data, ancillary, _flags, _address = sock.recvmsg(size, socket.CMSG_LEN(max_fds * item), socket.MSG_CMSG_CLOEXEC)
    fds = array.array("i")
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(payload[: len(payload) - len(payload) % item])
    return data, list(fds)
