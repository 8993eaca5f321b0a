"""The firewall rules of one bridge: chains of our own, hooked in once, loaded in one transaction.

Docker 1.5 inserted each rule into FORWARD and POSTROUTING; later versions use chains of their own, and so do we: what is ours
can be told from what is not, and goes away whole. ``iptables-restore --noflush -w`` loads a table atomically and waits for
the lock that dockerd, too, takes. With C the chain and B the bridge::

    filter  FORWARD  -j C                                           first, so that a DROP policy or rule behind it
            C        -o B -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT     replies         (Docker's) does not
            C        -i B ! -o B -j ACCEPT                                          outgoing        matter to us
            C        -i B -o B -j ACCEPT  (DROP without icc)                        between containers
    nat     POSTROUTING -j C
            C        -s SUBNET ! -o B -j MASQUERADE                                 outgoing, as the host
"""

from __future__ import annotations

import shutil
import subprocess

from minidock.errors import NotSupported, SystemFault
from minidock.linux import trace


def _iptables(*args: str, table: str, check: bool = True) -> bool:
    """Run iptables once; True if it succeeded. SystemFault with its words if it failed and `check`."""
    done = subprocess.run(["iptables", "-w", "-t", table, *args], capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise SystemFault(f"iptables -t {table} {' '.join(args)}", detail=done.stderr.strip())
    return done.returncode == 0


def rules(chain: str, bridge: str, subnet: str, *, icc: bool = True, masquerade: bool = True) -> str:
    """The input for iptables-restore: both tables, our chains emptied and filled."""
    lines = [
        "*filter",
        f":{chain} - [0:0]",
        f"-A {chain} -o {bridge} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        f"-A {chain} -i {bridge} ! -o {bridge} -j ACCEPT",
        f"-A {chain} -i {bridge} -o {bridge} -j {'ACCEPT' if icc else 'DROP'}",
        "COMMIT",
        "*nat",
        f":{chain} - [0:0]",
    ]
    if masquerade:
        lines.append(f"-A {chain} -s {subnet} ! -o {bridge} -j MASQUERADE")
    return "\n".join([*lines, "COMMIT", ""])


HOOKS = (("filter", "FORWARD"), ("nat", "POSTROUTING"))


def install(chain: str, bridge: str, subnet: str, *, icc: bool = True, masquerade: bool = True) -> None:
    """Load our chains and hook them in; repeating it changes nothing. NotSupported without iptables."""
    if shutil.which("iptables-restore") is None:
        raise NotSupported("iptables is not installed: containers on a bridge need it (apt-get install iptables)")
    with trace.step("iptables-restore", chain):
        text = rules(chain, bridge, subnet, icc=icc, masquerade=masquerade)
        done = subprocess.run(["iptables-restore", "-w", "--noflush"], input=text, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemFault("iptables-restore", chain, detail=done.stderr.strip())
    for table, hook in HOOKS:
        with trace.step("iptables hook", f"{table} {hook} -j {chain}"):
            if not _iptables("-C", hook, "-j", chain, table=table, check=False):
                _iptables("-I", hook, "-j", chain, table=table)


def remove(chain: str) -> None:
    """Unhook and delete our chains. Safe to repeat."""
    if shutil.which("iptables") is None:
        return
    for table, hook in HOOKS:
        while _iptables("-D", hook, "-j", chain, table=table, check=False):
            pass
        if _iptables("-F", chain, table=table, check=False):
            _iptables("-X", chain, table=table)
