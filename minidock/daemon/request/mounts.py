"""``-v``, ``--mount``, ``--tmpfs`` and an image's VOLUMEs as one list of mount points. Parsing and checking only.

The words of the errors are those of docker 20.10's ``volume/mounts`` package, because clients show them as they are.
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from minidock.errors import InvalidParameter

if TYPE_CHECKING:
    from minidock.daemon.request.wire import ContainerConfig, HostConfig, Mount, MountRecord

PROPAGATIONS = ("private", "rprivate", "shared", "rshared", "slave", "rslave")
_VOLUME_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_FLAGS = (
    "ro rw suid nosuid dev nodev exec noexec sync async dirsync remount mand nomand atime noatime diratime nodiratime "
    "relatime norelatime strictatime nostrictatime bind rbind private rprivate shared rshared slave rslave"
)
_TMPFS_FLAGS = frozenset(_FLAGS.split())
_TMPFS_VALUES = ("size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol")


class MountPoint(NamedTuple):
    """One thing to be mounted at `destination`; stored in the record, shown by inspect.

    kind is bind, volume or tmpfs. `make_source`: docker makes a missing host directory for -v, not for --mount.
    `anonymous` volumes go with ``rm -v``; `nocopy` keeps the image's content out of a new volume.
    """

    kind: str
    destination: str
    source: str = ""
    name: str = ""
    mode: str = ""
    rw: bool = True
    propagation: str = ""
    options: tuple[str, ...] = ()
    make_source: bool = False
    anonymous: bool = False
    nocopy: bool = False
    recursive: bool = True
    listed: bool = True

    def api(self) -> dict[str, object]:
        """An entry of inspect's ``Mounts``."""
        shown: dict[str, object] = {"Type": self.kind}
        if self.kind == "volume":
            shown |= {"Name": self.name}
        shown |= {"Source": self.source, "Destination": self.destination}
        if self.kind == "volume":
            shown |= {"Driver": "local"}
        return shown | {"Mode": self.mode, "RW": self.rw, "Propagation": self.propagation}

    def record(self) -> MountRecord:
        """As it is kept in config.json."""
        return cast("MountRecord", {**self._asdict(), "options": [*self.options]})

    @classmethod
    def from_record(cls, value: MountRecord) -> MountPoint:
        """The inverse of `record`: `value` is what was kept."""
        return cls(**cast("Any", {**value, "options": tuple(value["options"])}))


def mount_points(config: ContainerConfig, host_config: HostConfig) -> list[MountPoint]:
    """All mount points that a container asks for, checked, parents before children. Raises InvalidParameter.

    `config` is already merged with the image's: its ``Volumes`` get an anonymous volume where nothing else is mounted.
    """
    found: dict[str, MountPoint] = {}

    def add(point: MountPoint) -> None:
        if point.destination in found:
            raise InvalidParameter(f"Duplicate mount point: {point.destination}")
        found[point.destination] = point

    for spec in host_config.get("Binds") or ():
        add(parse_bind(spec))
    for mount in host_config.get("Mounts") or ():
        add(parse_mount(mount))
    for target, options in (host_config.get("Tmpfs") or {}).items():
        add(parse_tmpfs(target, options or ""))
    for target in config.get("Volumes") or {}:
        destination = _destination(target, f"invalid volume specification: '{target}': ", "volume")
        if destination not in found:
            add(MountPoint("volume", destination, anonymous=True))
    return sorted(found.values(), key=lambda point: (point.destination.count("/"), point.destination))


def parse_bind(spec: str) -> MountPoint:
    """`spec` is ``[SOURCE:]DESTINATION[:MODE]``, as ``-v`` has it. A source that is not absolute names a volume.

    Raises InvalidParameter.
    """
    parts = spec.split(":")
    bad = InvalidParameter(f"invalid volume specification: '{spec}'")
    if not 1 <= len(parts) <= 3 or not parts[0]:
        raise bad
    if len(parts) == 2 and _valid_mode(parts[1]):
        raise bad  # /foo:rw: a volume without a source has no mode
    if len(parts) == 1:
        return MountPoint("volume", _destination(parts[0], f"{bad.explanation}: ", "volume"), anonymous=True)
    source, target, mode = parts[0], parts[1], parts[2] if len(parts) == 3 else ""
    if mode and not _valid_mode(mode):
        raise InvalidParameter(f"invalid mode: {mode}")
    kind = "bind" if source.startswith("/") else "volume"
    destination = _destination(target, f"{bad.explanation}: ", kind)
    flags = mode.split(",")
    rw = "ro" not in flags
    propagation = next((flag for flag in flags if flag in PROPAGATIONS), "")
    if kind == "bind":
        normal = posixpath.normpath(source)
        return MountPoint(kind, destination, normal, mode=mode, rw=rw, propagation=propagation or "rprivate", make_source=True)
    if propagation:
        raise InvalidParameter(f"invalid volume specification: '{spec}': invalid mount config for type \"volume\": "
                               "field BindOptions must not be specified")  # fmt: skip
    validate_volume_name(source)
    return MountPoint(kind, destination, name=source, mode=mode or "z", rw=rw, nocopy="nocopy" in flags)


def parse_mount(mount: Mount) -> MountPoint:
    """`mount`, an entry of HostConfig.Mounts (``--mount``): types bind, volume and tmpfs. Raises InvalidParameter."""
    kind, source, target = mount.get("Type") or "", mount.get("Source") or "", mount.get("Target") or ""
    if kind not in ("bind", "volume", "tmpfs"):
        raise InvalidParameter(f'invalid mount config for type "{kind}": mount type unknown')
    prefix = f'invalid mount config for type "{kind}": '
    if not target:
        raise InvalidParameter(prefix + "field Target must not be empty")
    destination = _destination(target, "", kind)
    for options, owner in (("BindOptions", "bind"), ("VolumeOptions", "volume"), ("TmpfsOptions", "tmpfs")):
        if mount.get(options) and kind != owner:
            raise InvalidParameter(f"{prefix}field {options} must not be specified")
    rw = not mount.get("ReadOnly")
    if kind == "bind":
        return _mount_bind(mount, source, destination, rw, prefix)
    if kind == "volume":
        nocopy = bool((mount.get("VolumeOptions") or {}).get("NoCopy"))
        if source:
            validate_volume_name(source)
        mode = "z"
        return MountPoint(kind, destination, name=source, mode=mode, rw=rw, nocopy=nocopy, anonymous=not source)
    if source:
        raise InvalidParameter(prefix + "field Source must not be specified")
    settings = mount.get("TmpfsOptions") or {}
    words = ["noexec", "nosuid", "nodev"] + ([] if rw else ["ro"])
    if settings.get("SizeBytes"):
        words.append(f"size={int(settings['SizeBytes'])}")
    if settings.get("Mode"):
        words.append(f"mode={int(settings['Mode']):o}")
    return MountPoint(kind, destination, rw=rw, options=tuple(words))


def _mount_bind(mount: Mount, source: str, destination: str, rw: bool, prefix: str) -> MountPoint:
    if not source:
        raise InvalidParameter(prefix + "field Source must not be empty")
    if not source.startswith("/"):
        raise InvalidParameter(f"{prefix}invalid mount path: '{source}' mount path must be absolute")
    options = mount.get("BindOptions") or {}
    propagation = options.get("Propagation") or "rprivate"
    if propagation not in PROPAGATIONS:
        raise InvalidParameter(f"{prefix}invalid propagation mode: {propagation}")
    recursive = not options.get("NonRecursive")
    normal = posixpath.normpath(source)
    return MountPoint("bind", destination, normal, rw=rw, propagation=propagation, recursive=recursive)


def parse_tmpfs(target: str, options: str) -> MountPoint:
    """``--tmpfs TARGET[:OPTIONS]``; docker's own noexec,nosuid,nodev come first, so that the user's word is the last.

    Raises InvalidParameter for an option that tmpfs(5) does not have.
    """
    destination = _destination(target, "", "")
    asked = [option for option in options.split(",") if option]
    for option in asked:
        key, equals, _value = option.partition("=")
        if not (key in _TMPFS_VALUES if equals else option in _TMPFS_FLAGS):
            raise InvalidParameter(f'invalid tmpfs option ["{option}"]')
    undone = {option.removeprefix("no") for option in asked if not option.startswith("no")}
    defaults = [option for option in ("noexec", "nosuid", "nodev") if option.removeprefix("no") not in undone]
    words = tuple(defaults + [option for option in asked if option not in ("exec", "suid", "dev", "rw")])
    return MountPoint("tmpfs", destination, rw="ro" not in asked, options=words, listed=False)


def validate_volume_name(name: str) -> None:
    """Raises InvalidParameter unless `name` can be a local volume's name."""
    if not _VOLUME_NAME.fullmatch(name):
        raise InvalidParameter(
            f'create {name}: "{name}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" '
            "are allowed. If you intended to pass a host directory, use absolute path"
        )


def _destination(target: str, prefix: str, kind: str) -> str:
    config = f'{prefix}invalid mount config for type "{kind}": ' if kind else prefix
    if not target.startswith("/"):
        raise InvalidParameter(f"{config}invalid mount path: '{target}' mount path must be absolute")
    normal = posixpath.normpath("/" + target.lstrip("/"))
    if normal == "/":
        raise InvalidParameter(f"{config}invalid specification: destination can't be '/'")
    return normal


def _valid_mode(mode: str) -> bool:
    """At most one of each kind: rw/ro, propagation, SELinux label, copy, consistency."""
    kinds = {"rw": 0, "ro": 0, "z": 1, "Z": 1, "nocopy": 2, "consistent": 3, "cached": 3, "delegated": 3, "default": 3}
    kinds |= dict.fromkeys(PROPAGATIONS, 4)
    words = mode.split(",")
    return all(word in kinds for word in words) and len({kinds[word] for word in words}) == len(words)
