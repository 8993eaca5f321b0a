"""rtnetlink(7), as much of it as a container's network needs: links, addresses, routes, each a message and its answer.

A netlink message is a header, a fixed structure, and attributes; an attribute may hold attributes::

    nlmsghdr   len:u32  type:u16  flags:u16  seq:u32  pid:u32
    ifinfomsg  family:u8  pad:u8  type:u16  index:i32  flags:u32  change:u32          (RTM_NEWLINK, RTM_DELLINK)
    rtattr     len:u16  type:u16  payload, padded to 4 bytes
                  IFLA_IFNAME "ve1234"
                  IFLA_LINKINFO
                     ├── IFLA_INFO_KIND "veth"
                     └── IFLA_INFO_DATA
                            └── VETH_INFO_PEER   ifinfomsg, IFLA_IFNAME "eth0", IFLA_NET_NS_FD 7

Why not a library: importing one costs 110-170 ms on the machine this was measured on, which is the price of a whole
``docker run``; and what a veth pair is made of is a thing to be read here (chapter 05).

A socket belongs to the network namespace of the thread that opened it, for good. To work inside a container's namespace,
`inside` opens the socket in a thread of its own that has entered it with setns(2); no other thread notices.
"""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Interface
from typing import TypeVar

from minidock.linux import trace
from minidock.linux.libc import syscall

CLONE_NEWNET = 0x40000000

NLM_F_REQUEST, NLM_F_ACK, NLM_F_EXCL, NLM_F_CREATE = 0x1, 0x4, 0x200, 0x400
NLMSG_ERROR = 2
RTM_NEWLINK, RTM_DELLINK, RTM_NEWADDR, RTM_NEWROUTE = 16, 17, 20, 24
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_MASTER, IFLA_LINKINFO, IFLA_NET_NS_FD = 1, 3, 4, 10, 18, 28
IFLA_INFO_KIND, IFLA_INFO_DATA, VETH_INFO_PEER = 1, 2, 1
IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST = 1, 2, 4
RTA_OIF, RTA_GATEWAY = 4, 5
RT_TABLE_MAIN, RTPROT_BOOT, RT_SCOPE_UNIVERSE, RTN_UNICAST = 254, 3, 0, 1
IFF_UP = 1

T = TypeVar("T")

_HEADER = struct.Struct("=IHHII")
_IFINFO = struct.Struct("=BxHiII")
_IFADDR = struct.Struct("=BBBBI")
_RTMSG = struct.Struct("=BBBBBBBBI")
_ATTR = struct.Struct("=HH")


def attribute(kind: int, payload: bytes | str | int) -> bytes:
    """One rtattr: text is NUL-terminated, an int is a u32, bytes are as they are; padded to four bytes."""
    if isinstance(payload, str):
        payload = payload.encode() + b"\0"
    elif isinstance(payload, int):
        payload = struct.pack("=I", payload)
    return _ATTR.pack(_ATTR.size + len(payload), kind) + payload + b"\0" * (-len(payload) % 4)


def mac_bytes(mac: str) -> bytes:
    """ "02:42:ac:11:00:02" as six bytes."""
    return bytes.fromhex(mac.replace(":", ""))


class Rtnl:
    """A NETLINK_ROUTE socket of the namespace that the calling thread is in. Use it in a ``with``.

    Every method is one message that the kernel acknowledges; a refusal is OSError with its errno and the interface's name.
    """

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._sequence = 0

    def __enter__(self) -> Rtnl:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._socket.close()

    def _request(self, kind: int, flags: int, body: bytes, what: str) -> None:
        self._sequence += 1
        size = _HEADER.size + len(body)
        self._socket.send(_HEADER.pack(size, kind, flags | NLM_F_REQUEST | NLM_F_ACK, self._sequence, 0) + body)
        while True:
            data = self._socket.recv(65536)
            _size, answer, _flags, sequence, _pid = _HEADER.unpack_from(data)
            if sequence == self._sequence and answer == NLMSG_ERROR:
                (error,) = struct.unpack_from("=i", data, _HEADER.size)
                if error:
                    raise OSError(-error, os.strerror(-error), what)
                return

    def _new_link(self, flags: int, index: int, attributes: bytes, what: str, *, up: bool = False) -> None:
        head = _IFINFO.pack(socket.AF_UNSPEC, 0, index, IFF_UP if up else 0, IFF_UP if up else 0)
        self._request(RTM_NEWLINK, flags, head + attributes, what)

    def add_veth(self, name: str, peer: str, peer_ns: int, *, mac: str, mtu: int, master: int) -> None:
        """Make a veth pair (veth(4)): `name` here, up, a port of bridge `master`; `peer` in the namespace behind the
        descriptor `peer_ns`, with the address `mac`. mtu in bytes."""
        with trace.step("RTM_NEWLINK veth", f"{name} peer {peer}"):
            inner = _IFINFO.pack(socket.AF_UNSPEC, 0, 0, 0, 0) + attribute(IFLA_IFNAME, peer)
            inner += attribute(IFLA_ADDRESS, mac_bytes(mac)) + attribute(IFLA_MTU, mtu) + attribute(IFLA_NET_NS_FD, peer_ns)
            info = attribute(IFLA_INFO_KIND, "veth") + attribute(IFLA_INFO_DATA, attribute(VETH_INFO_PEER, inner))
            attributes = attribute(IFLA_IFNAME, name) + attribute(IFLA_MTU, mtu) + attribute(IFLA_MASTER, master)
            attributes += attribute(IFLA_LINKINFO, info)
            self._new_link(NLM_F_CREATE | NLM_F_EXCL, 0, attributes, name, up=True)

    def add_bridge(self, name: str, *, mtu: int = 1500) -> None:
        """Make a bridge, down and without address. FileExistsError if there is such a link."""
        with trace.step("RTM_NEWLINK bridge", name):
            info = attribute(IFLA_LINKINFO, attribute(IFLA_INFO_KIND, "bridge"))
            self._new_link(NLM_F_CREATE | NLM_F_EXCL, 0, attribute(IFLA_IFNAME, name) + attribute(IFLA_MTU, mtu) + info, name)

    def set_up(self, name: str) -> None:
        """Set IFF_UP on the link."""
        with trace.step("RTM_NEWLINK up", name):
            self._new_link(0, index(name), b"", name, up=True)

    def set_mac(self, name: str, mac: str) -> None:
        """Set the link's hardware address. A bridge whose address is set keeps it; else it takes its lowest port's."""
        with trace.step("RTM_NEWLINK address", f"{name} {mac}"):
            self._new_link(0, index(name), attribute(IFLA_ADDRESS, mac_bytes(mac)), name)

    def delete(self, name: str) -> None:
        """Delete the link (and a veth's other end). OSError(ENODEV) if there is none."""
        with trace.step("RTM_DELLINK", name):
            self._request(RTM_DELLINK, 0, _IFINFO.pack(socket.AF_UNSPEC, 0, index(name), 0, 0), name)

    def add_address(self, name: str, interface: IPv4Interface) -> None:
        """Give the link an IPv4 address with its prefix and broadcast."""
        with trace.step("RTM_NEWADDR", f"{name} {interface}"):
            head = _IFADDR.pack(socket.AF_INET, interface.network.prefixlen, 0, RT_SCOPE_UNIVERSE, index(name))
            body = attribute(IFA_LOCAL, interface.ip.packed) + attribute(IFA_ADDRESS, interface.ip.packed)
            body += attribute(IFA_BROADCAST, interface.network.broadcast_address.packed)
            self._request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, head + body, name)

    def add_default_route(self, name: str, gateway: IPv4Address) -> None:
        """The default route through `gateway`, out of the link."""
        with trace.step("RTM_NEWROUTE default", f"{gateway} {name}"):
            head = _RTMSG.pack(socket.AF_INET, 0, 0, 0, RT_TABLE_MAIN, RTPROT_BOOT, RT_SCOPE_UNIVERSE, RTN_UNICAST, 0)
            body = attribute(RTA_GATEWAY, gateway.packed) + attribute(RTA_OIF, index(name))
            self._request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, head + body, name)


def index(name: str) -> int:
    """The interface's index (if_nametoindex(3)) in the calling thread's namespace. OSError(ENODEV) if there is none."""
    try:
        return socket.if_nametoindex(name)
    except OSError as e:
        raise OSError(e.errno or 19, os.strerror(e.errno or 19), name) from None


def exists(name: str) -> bool:
    """Whether the calling thread's namespace has such an interface. (/sys/class/net shows its mounter's namespace.)"""
    try:
        socket.if_nametoindex(name)
    except OSError:
        return False
    return True


def inside(netns: int, function: Callable[[Rtnl], T]) -> T:
    """Call ``function(rtnl)`` in the network namespace behind the descriptor `netns` (of /proc/PID/ns/net).

    It runs in a thread of its own that has entered the namespace with setns(2), and ends with it; the result or the
    OSError comes back. Files under /proc/sys/net and if_nametoindex mean that namespace in there, too.
    """
    outcome: list[T] = []
    error: list[OSError] = []

    def body() -> None:
        try:
            syscall("setns", netns, CLONE_NEWNET)
            with Rtnl() as rtnl:
                outcome.append(function(rtnl))
        except OSError as e:
            error.append(e)

    thread = threading.Thread(target=body, name="netns")
    thread.start()
    thread.join()
    if error:
        raise error[0]
    return outcome[0]
