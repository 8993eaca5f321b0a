"""Single values of run and create: ulimits, hosts, addresses, sysctls, restart policies, devices, security options.

Source: docker/cli opts/{ulimit,hosts,opts}.go and cli/command/container/opts.go; docker/go-units ulimit.go.
"""

from __future__ import annotations

import posixpath
import re
import socket
from collections.abc import Iterable
from typing import Any

from minidock.cli.grammar import values
from minidock.cli.grammar.quote import quote
from minidock.cli.opts import BadValue, OptionError

ULIMITS = frozenset(
    {"core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio", "rttime"}
    | {"sigpending", "stack"}
)
_IPC = ("msgmax", "msgmnb", "msgmni", "sem", "shmall", "shmmax", "shmmni", "shm_rmid_forced")
IPC_SYSCTLS = frozenset(f"kernel.{name}" for name in _IPC)
_LABEL = r"([a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9\-]*[a-zA-Z0-9])"
_DOMAIN = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?\s*")
_MAC = re.compile(
    r"[0-9a-f]{2}(?:([:-])[0-9a-f]{2}(?:\1[0-9a-f]{2}){4}(?:(?:\1[0-9a-f]{2}){2}|(?:\1[0-9a-f]{2}){14})?)", re.IGNORECASE
)
_DEVICE_RULE = re.compile(r"[acb] ([0-9]+|\*):([0-9]+|\*) [rwm]{1,3}")


def ulimit(text: str) -> dict[str, Any]:
    """``nofile=1024:2048`` → {"Name", "Soft", "Hard"}; -1 is unlimited."""
    name, equals, limits = text.partition("=")
    if not equals:
        raise BadValue(f"invalid ulimit argument: {text}")
    if name not in ULIMITS:
        raise BadValue(f"invalid ulimit type: {name}")
    parts = limits.split(":")
    if len(parts) > 2:
        raise BadValue(f"too many limit value arguments - {limits}, can only have up to two, `soft[:hard]`")
    soft, hard = values.decimal64(parts[0]), values.decimal64(parts[-1])
    if hard != -1 and soft == -1:
        raise BadValue(f"ulimit soft limit must be less than or equal to hard limit: soft: -1 (unlimited), hard: {hard}")
    if hard != -1 and soft > hard:
        raise BadValue(f"ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}")
    return {"Name": name, "Soft": soft, "Hard": hard}


def is_address(text: str) -> bool:
    """True for an IPv4 or IPv6 address. inet_pton(3), since importing `ipaddress` costs more than a container's start."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, text)
            return True
        except (OSError, ValueError):
            continue
    return False


def extra_host(text: str) -> str:
    """``name:address``, ``name=address``, or ``name:host-gateway`` → the API's ``name:address``."""
    name, separator, address = text.partition("=")
    if not separator:
        name, separator, address = text.partition(":")
    if not name or not separator:
        raise BadValue(f"bad format for add-host: {quote(text)}")
    if len(address) > 2 and address[0] == "[" and address[-1] == "]":
        address = address[1:-1]
    if address != "host-gateway" and not is_address(address):
        raise BadValue(f"invalid IP address in add-host: {quote(address)}")
    return f"{name}:{address}"


def ip_address(text: str) -> str:
    """An IP address, blanks around it taken away."""
    if not is_address(text.strip()):
        raise BadValue(f"IP address is not correctly formatted: {text}")
    return text.strip()


def dns_search(text: str) -> str:
    """A domain, or ``.`` for none."""
    text = text.strip()
    if text != "." and not _DOMAIN.fullmatch(text):
        raise BadValue(f"{text} is not a valid domain")
    return text


def sysctl(text: str) -> str:
    """``net.…``, ``fs.mqueue.…`` and the IPC ones: those that a namespace has its own of."""
    name, equals, _ = text.partition("=")
    if not equals or not (name in IPC_SYSCTLS or name.startswith(("net.", "fs.mqueue."))):
        raise BadValue(f"sysctl '{text}' is not allowed")
    return text


def stream(text: str) -> str:
    """-a: stdin, stdout or stderr, in any case."""
    if text.lower() not in ("stdin", "stdout", "stderr"):
        raise BadValue("valid streams are STDIN, STDOUT and STDERR")
    return text.lower()


def device_rule(text: str) -> str:
    """``c 42:* rmw``."""
    if not _DEVICE_RULE.fullmatch(text):
        raise BadValue(f"invalid device cgroup format '{text}'")
    return text


def network(text: str) -> dict[str, Any]:
    """``bridge``, or ``name=NET,ip=…,mac-address=…,alias=…`` → {"Target", "IPv4Address", "MacAddress", "Aliases"}."""
    if "=" not in text:
        return {"Target": text}
    from minidock.cli.opts.mounts import csv_fields

    result: dict[str, Any] = {}
    names = {"name": "Target", "ip": "IPv4Address", "ip6": "IPv6Address", "mac-address": "MacAddress"}
    for field in csv_fields(text):
        key, equals, value = field.strip().lower().partition("=")
        if not equals:
            raise BadValue(f"invalid field {field}")
        if key == "alias":
            result.setdefault("Aliases", []).append(value)
        elif key in names:
            result[names[key]] = value
        else:
            raise BadValue(f"invalid field key {key}")
    if not result.get("Target"):
        raise BadValue("network name/id is not specified")
    return result


def restart_policy(text: str) -> dict[str, Any]:
    """``on-failure:3`` → {"Name", "MaximumRetryCount"}. Whether the name is known, the engine says."""
    name, colon, count = text.partition(":")
    if colon and not name:
        raise OptionError("invalid restart policy format: no policy provided before colon")
    if count and not re.fullmatch(r"[+-]?[0-9]{1,18}", count):
        raise OptionError("invalid restart policy format: maximum retry count must be an integer")
    return {"Name": name, "MaximumRetryCount": int(count or 0)}


def mac_address(text: str) -> str:
    """A MAC address (net.ParseMAC: 6, 8 or 20 bytes, with : or -)."""
    if not _MAC.fullmatch(text):
        raise OptionError(f"{text} is not a valid mac address")
    return text


def device(text: str) -> dict[str, str]:
    """``/dev/x[:/dev/y][:rwm]`` → the Engine API's DeviceMapping."""
    parts = text.split(":")
    if len(parts) > 3 or not parts[0]:
        raise OptionError(f"bad format for path: {text}")
    inside, mode = parts[0], "rwm"
    if len(parts) == 2 and _is_device_mode(parts[1]):
        mode = parts[1]
    elif len(parts) > 1:
        inside = parts[1]
    if len(parts) == 3:
        mode = parts[2]
        if not _is_device_mode(mode):
            raise OptionError(f"bad mode specified: {mode}")
    if not inside.startswith("/"):
        raise OptionError(f"{inside} is not an absolute path")
    return {"PathOnHost": parts[0], "PathInContainer": posixpath.normpath(inside), "CgroupPermissions": mode}


def _is_device_mode(text: str) -> bool:
    return bool(text) and len(set(text)) == len(text) and set(text) <= set("rwm")


def security_options(options: Iterable[str]) -> tuple[list[str], bool]:
    """The options as the engine takes them, and whether ``systempaths=unconfined`` was among them.

    A seccomp profile is a file of the client's: it is read here, and its JSON sent in the place of its path.
    """
    result, unconfined_paths = [], False
    for option in options:
        name, separator, value = option.partition("=")
        if not separator and name != "no-new-privileges":
            name, separator, value = option.partition(":")
        if (not separator or not value) and name != "no-new-privileges":
            raise OptionError(f"Invalid --security-opt: {quote(option)}")
        if name == "systempaths" and value == "unconfined":
            unconfined_paths = True
        elif name == "seccomp" and value not in ("unconfined", "builtin"):
            result.append("seccomp=" + _seccomp_profile(value))
        else:
            result.append(option)
    return result, unconfined_paths


def _seccomp_profile(path: str) -> str:
    import json

    try:
        with open(path, "rb") as file:
            return json.dumps(json.load(file), separators=(",", ":"))
    except OSError as error:
        reason = f"open {path}: {(error.strerror or str(error)).lower()}"
        raise OptionError(f"opening seccomp profile ({path}) failed: {reason}") from None
    except ValueError as error:
        raise OptionError(f"compacting json for seccomp profile ({path}) failed: {error}") from None


def log_options(driver: str, options: Iterable[str]) -> dict[str, str]:
    """``max-size=1m`` … → a mapping; the driver "none" takes none."""
    result = {name: value for name, _, value in (option.partition("=") for option in options)}
    if driver == "none" and result:
        raise OptionError(f"invalid logging opts for driver {driver}")
    return result


def namespace_mode(flag: str, kind: str, value: str, allowed: tuple[str, ...]) -> str:
    """``--pid host``: one of `allowed`, or ``container:NAME`` where that is among them."""
    joins = "container" in allowed and value.startswith("container:") and len(value) > len("container:")
    if not (joins or value in ("", *(a for a in allowed if a != "container"))):
        raise OptionError(f"--{flag}: invalid {kind} mode")
    return value
