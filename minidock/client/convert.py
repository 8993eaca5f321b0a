"""From the keyword forms docker-py takes to the Engine API's JSON: one small function for each form.

docker-py lets a caller write ``mem_limit="128m"``, ``ports={"80/tcp": 8080}`` or ``volumes={"/src": {"bind": "/dst"}}``, and
sends the engine ``Memory: 134217728``, ``PortBindings: {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}`` and
``Binds: ["/src:/dst:rw"]``. These functions do the same, and are tested against the installed docker-py: same keywords in, same
JSON out. `types` puts them together.

Sources: docker-py 7 ``docker.utils``; Engine API 1.41, ``POST /containers/create``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from minidock.errors import InvalidArgument

if TYPE_CHECKING:
    from datetime import datetime

BYTE_UNITS = {"b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
PROPAGATIONS = ("rshared", "shared", "rslave", "slave", "rprivate", "private")


def parse_bytes(value: str | int | float) -> int | float:
    """`value` as bytes: ``"128m"`` → 134217728.

    Suffixes b, k, m, g, in either case, each with an optional b; numbers stay as they are. Raises InvalidArgument for another
    suffix, or when what stands before it is no number.
    """
    if isinstance(value, int | float):
        return value
    if not value:
        return 0
    text = value[:-1] if value[-2:-1].isalpha() and value[-1] in "bB" else value
    number, unit = (text, "b") if text[-1].isdecimal() else (text[:-1], text[-1].lower())
    if unit not in BYTE_UNITS:
        raise InvalidArgument(
            f"The specified value for memory ({value}) should specify the units. "
            "The postfix should be one of the `b` `k` `m` `g` characters"
        )
    try:
        return int(float(number) * BYTE_UNITS[unit])
    except (ValueError, OverflowError):
        raise InvalidArgument(f"Failed converting the string value for memory ({number}) to an integer.") from None


def command_list(command: str | list[str] | tuple[str, ...] | None) -> list[str] | None:
    """A command line, split as a shell would split it; a list stays a list."""
    if command is None:
        return None
    if not isinstance(command, str):
        return list(command)
    import shlex  # here, because the command line splits nothing: its shell has

    return shlex.split(command)


def environment_list(environment: Mapping[str, Any] | Iterable[str] | None) -> list[str] | None:
    """`environment` as a list: ``{"A": 1, "B": None}`` → ``["A=1", "B"]``. A name alone takes the variable away."""
    if environment is None:
        return None
    if not isinstance(environment, Mapping):
        return list(environment)
    return [name if value is None else f"{name}={_text(value)}" for name, value in environment.items()]


def label_dict(labels: Mapping[str, str] | Iterable[str] | None) -> dict[str, str] | None:
    """`labels` as a dict: ``["a", "b"]`` → ``{"a": "", "b": ""}``."""
    if labels is None:
        return None
    return dict(labels) if isinstance(labels, Mapping) else dict.fromkeys(labels, "")


def exposed_ports(ports: Mapping[str, Any] | Iterable[Any] | None) -> dict[str, Any] | None:
    """`ports` as the Engine API has them: ``[80, (53, "udp")]`` → ``{"80/tcp": {}, "53/udp": {}}``."""
    if ports is None or isinstance(ports, Mapping):
        return None if ports is None else dict(ports)
    result: dict[str, Any] = {}
    for port in ports:
        number, *proto = port if isinstance(port, tuple) else (port,)
        result[f"{number}/{proto[0] if len(proto) == 1 else 'tcp'}"] = {}
    return result


def volume_dict(volumes: str | Mapping[str, Any] | Iterable[str] | None) -> dict[str, Any] | None:
    """`volumes`, paths in the container that get one: ``["/data"]`` → ``{"/data": {}}``."""
    if volumes is None or isinstance(volumes, Mapping):
        return None if volumes is None else dict(volumes)
    paths = [volumes] if isinstance(volumes, str) else volumes
    return {path: {} for path in paths}


def binds(volumes: Mapping[Any, Any] | list[str]) -> list[str]:
    """`volumes` as ``-v`` has them: ``{"/src": {"bind": "/dst", "mode": "ro", "propagation": "rslave"}}`` →
    ``["/src:/dst:ro,rslave"]``; a list stays."""
    if isinstance(volumes, list):
        return volumes
    return [f"{_text(source)}:{_bind_target(target)}" for source, target in volumes.items()]


def _bind_target(target: Any) -> str:
    if not isinstance(target, Mapping):
        return f"{_text(target)}:rw"
    if "ro" in target and "mode" in target:
        raise ValueError(f'Binding cannot contain both "ro" and "mode": {target!r}')
    mode = ("ro" if target["ro"] else "rw") if "ro" in target else target.get("mode", "rw")
    if target.get("propagation") in PROPAGATIONS:
        mode = f"{mode},{target['propagation']}" if mode else target["propagation"]
    return f"{_text(target['bind'])}:{mode}"


def bind_target(bind: str) -> str:
    """The container's side of a bind: ``"/src:/dst:ro"`` → ``"/dst"``, ``"/data"`` → ``"/data"``."""
    head, _, rest = bind.partition(":")
    if rest in ("", "ro", "rw"):
        return head
    return rest[:-3] if rest.endswith((":ro", ":rw")) else rest


def port_bindings(ports: Mapping[Any, Any]) -> dict[str, list[dict[str, str]]]:
    """`ports` as PortBindings: ``{80: 8080, "53/udp": ("127.0.0.1", 5353), 443: None}``.

    Raises ValueError for a dict without HostPort.
    """
    result = {}
    for port, binding in ports.items():
        key = str(port) if "/" in str(port) else f"{port}/tcp"
        result[key] = [_port_binding(b) for b in (binding if isinstance(binding, list) else [binding])]
    return result


def _port_binding(binding: Any) -> dict[str, str]:
    host_ip, host_port = "", binding
    if isinstance(binding, tuple):
        if len(binding) == 2:
            host_ip, host_port = binding
        else:
            host_ip, host_port = (binding[0], None) if isinstance(binding[0], str) else ("", binding[0])
    elif isinstance(binding, Mapping):
        if "HostPort" not in binding:
            raise ValueError(binding)
        host_ip, host_port = binding.get("HostIp", ""), binding["HostPort"]
    return {"HostIp": host_ip, "HostPort": "" if host_port is None else str(host_port)}


def tmpfs_mounts(tmpfs: Mapping[str, str] | list[str]) -> dict[str, str]:
    """`tmpfs` as a dict: ``["/run:size=1m", "/tmp"]`` → ``{"/run": "size=1m", "/tmp": ""}``.

    Raises ValueError for another form.
    """
    if isinstance(tmpfs, Mapping):
        return dict(tmpfs)
    if not isinstance(tmpfs, list):
        raise ValueError(f"Expected tmpfs value to be either a list or a dict, found: {type(tmpfs).__name__}")
    result = {}
    for mount in tmpfs:
        if not isinstance(mount, str):
            raise ValueError(f"Expected item in tmpfs list to be a string, found: {type(mount).__name__}")
        target, _, options = mount.partition(":")
        result[target] = options
    return result


def devices(devices: Iterable[str | Mapping[str, str]]) -> list[dict[str, str]]:
    """`devices` such as ``["/dev/fuse:/dev/fuse:rw"]`` → PathOnHost, PathInContainer (default: the same), CgroupPermissions
    (default rwm). Raises InvalidArgument for one that is no text."""
    result = []
    for device in devices:
        if isinstance(device, Mapping):
            result.append(dict(device))
            continue
        if not isinstance(device, str):
            raise InvalidArgument(f"Invalid device type {type(device)}")
        host, *rest = device.split(":")
        inside = rest[0] if rest else host
        permissions = rest[1] if len(rest) > 1 else "rwm"
        result.append({"PathOnHost": host, "PathInContainer": inside, "CgroupPermissions": permissions})
    return result


def extra_hosts(hosts: Mapping[str, str] | list[str]) -> list[str]:
    """`hosts` as a list: ``{"db": "10.0.0.2"}`` → ``["db:10.0.0.2"]``, sorted by name."""
    return [f"{name}:{address}" for name, address in sorted(hosts.items())] if isinstance(hosts, Mapping) else hosts


def links(links: Mapping[str, str | None] | Iterable[tuple[str, str | None]]) -> list[str]:
    """`links` as a list: ``{"db": "alias"}`` → ``["db:alias"]``, sorted by name."""
    pairs = links.items() if isinstance(links, Mapping) else links
    return [f"{name}:{alias}" if alias else name for name, alias in sorted(pairs)]


def filters(filters: Mapping[str, Any] | None) -> dict[str, list[str]] | None:
    """`filters` in the Engine API's form: ``{"dangling": True, "label": "a"}`` → ``{"dangling": ["true"], "label": ["a"]}``."""
    if not filters:
        return None
    result = {}
    for name, value in filters.items():
        text = ("true" if value else "false") if isinstance(value, bool) else value
        result[name] = [str(item) for item in (text if isinstance(text, list) else [text])]
    return result


def timestamp(name: str, moment: datetime | int | float | None) -> float | None:
    """`moment`, a datetime or seconds since the epoch, as seconds, for ``since`` and ``until`` of logs (`name`).

    Raises InvalidArgument for anything else or negative.
    """
    if moment is None:
        return None
    from datetime import datetime  # here, because it is 1 ms

    if isinstance(moment, datetime):
        # docker-py drops the fraction of a second here; a reader who asks for it should get it.
        return moment.timestamp()
    if isinstance(moment, int | float) and moment > 0:
        return moment
    raise InvalidArgument(f"{name} value should be datetime or positive int/float, not {type(moment)}")


def repository_tag(name: str) -> tuple[str, str | None]:
    """`name` taken apart: ``"host:5000/a/b:tag"`` → ``("host:5000/a/b", "tag")``; a digest counts as a tag; no tag is None."""
    repository, at, digest = name.rpartition("@")
    if at:
        return repository, digest
    repository, colon, tag = name.rpartition(":")
    return (repository, tag) if colon and "/" not in tag else (name, None)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
