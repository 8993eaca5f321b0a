"""``--mount``, ``-v`` and ``--tmpfs``. Source: docker/cli opts/mount.go; encoding/csv for the words of its errors."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from minidock.cli.grammar import values
from minidock.cli.opts import BadValue
from minidock.cli.opts.sizes import ram_in_bytes

_RECURSIVE: dict[str, dict[str, bool]] = {
    "enabled": {},
    "disabled": {"NonRecursive": True},
    "writable": {"ReadOnlyNonRecursive": True},
    "readonly": {"ReadOnlyForceRecursive": True},
}


def csv_fields(line: str) -> list[str]:
    """One CSV record (RFC 4180), strict about quotes as Go's encoding/csv is."""
    fields, at = [], 0
    while True:
        if line[at : at + 1] == '"':
            field, at = _quoted(line, at + 1)
        else:
            end = line.find(",", at)
            field = line[at:] if end < 0 else line[at:end]
            if '"' in field:
                raise BadValue(
                    f'parse error on line 1, column {_column(line, at + field.index(chr(34)))}: bare " in non-quoted-field'
                )
            at += len(field)
        fields.append(field)
        if at >= len(line):
            return fields
        at += 1


def _quoted(line: str, at: int) -> tuple[str, int]:
    """The text of a quoted field that starts at `at`, and where it ended (at a comma, or at the end)."""
    text = ""
    while True:
        end = line.find('"', at)
        if end < 0:
            raise BadValue(f'parse error on line 1, column {_column(line, len(line))}: extraneous or missing " in quoted-field')
        text += line[at:end]
        if line[end + 1 : end + 2] == '"':
            text, at = text + '"', end + 2
        elif line[end + 1 : end + 2] in ("", ","):
            return text, end + 1
        else:
            raise BadValue(f'parse error on line 1, column {_column(line, end)}: extraneous or missing " in quoted-field')


def _column(line: str, at: int) -> int:
    return len(line[:at].encode()) + 1


class _Mount:
    """A --mount in the making: the Engine API's Mount object, filled field by field."""

    def __init__(self) -> None:
        self.value: dict[str, Any] = {"Type": "volume", "Source": "", "Target": ""}

    def options(self, group: str) -> dict[str, Any]:
        found: dict[str, Any] = self.value.setdefault(group, {})
        return found

    def flag(self, field: str) -> None:
        """A field that stands alone."""
        key = field.lower()
        if key in ("readonly", "ro"):
            self.value["ReadOnly"] = True
        elif key == "volume-nocopy":
            self.options("VolumeOptions")["NoCopy"] = True
        elif key == "bind-nonrecursive":
            self.options("BindOptions")["NonRecursive"] = True
        else:
            raise BadValue(f"invalid field '{field}' must be a key=value pair")

    def set(self, key: str, value: str, field: str) -> None:
        """A ``key=value`` field."""
        if key == "type":
            self.value["Type"] = value.lower()
        elif key in ("source", "src"):
            self.value["Source"] = absolute(value) if value.startswith((".", "./")) else value
        elif key in ("target", "dst", "destination"):
            self.value["Target"] = value
        elif key in ("readonly", "ro"):
            self.value["ReadOnly"] = _bool(key, value)
        elif key == "consistency":
            self.value["Consistency"] = value.lower()
        elif key.startswith("bind-"):
            self._bind(key, value, field)
        elif key.startswith("volume-"):
            self._volume(key, value, field)
        elif key.startswith("tmpfs-"):
            self._tmpfs(key, value, field)
        else:
            raise _unexpected(key, field)

    def _bind(self, key: str, value: str, field: str) -> None:
        if key == "bind-propagation":
            self.options("BindOptions")["Propagation"] = value.lower()
        elif key == "bind-nonrecursive":
            self.options("BindOptions")["NonRecursive"] = _bool(key, value)
        elif key == "bind-recursive":
            if value not in _RECURSIVE:
                wanted = 'must be "enabled", "disabled", "writable", or "readonly"'
                raise BadValue(f"invalid value for {key}: {value} ({wanted})")
            self.options("BindOptions").update(_RECURSIVE[value])
        else:
            raise _unexpected(key, field)

    def _volume(self, key: str, value: str, field: str) -> None:
        options = self.options("VolumeOptions")
        name, _, text = value.partition("=")
        if key == "volume-nocopy":
            options["NoCopy"] = _bool(key, value)
        elif key == "volume-subpath":
            options["Subpath"] = value
        elif key == "volume-label":
            options.setdefault("Labels", {})[name] = text
        elif key == "volume-driver":
            options.setdefault("DriverConfig", {})["Name"] = value
        elif key == "volume-opt":
            options.setdefault("DriverConfig", {}).setdefault("Options", {})[name] = text
        else:
            raise _unexpected(key, field)

    def _tmpfs(self, key: str, value: str, field: str) -> None:
        wrong = BadValue(f"invalid value for {key}: {value}")
        if key == "tmpfs-size":
            try:
                self.options("TmpfsOptions")["SizeBytes"] = ram_in_bytes(value)
            except BadValue:
                raise wrong from None
        elif key == "tmpfs-mode":
            if not value or any(c not in "01234567" for c in value) or int(value, 8) >= 1 << 32:
                raise wrong
            self.options("TmpfsOptions")["Mode"] = int(value, 8)
        else:
            raise _unexpected(key, field)

    def finish(self) -> dict[str, Any]:
        if not self.value["Type"]:
            raise BadValue("type is required")
        if not self.value["Target"]:
            raise BadValue("target is required")
        for kind, group in (("volume", "VolumeOptions"), ("bind", "BindOptions"), ("tmpfs", "TmpfsOptions")):
            if group in self.value and self.value["Type"] != kind:
                raise BadValue(f"cannot mix '{kind}-*' options with mount type '{self.value['Type']}'")
        return self.value


def mount(text: str) -> dict[str, Any]:
    """``type=bind,source=/a,target=/b,readonly`` → the Engine API's Mount object."""
    if not text:
        raise BadValue("EOF")
    result = _Mount()
    for field in csv_fields(text):
        key, equals, value = field.partition("=")
        if equals:
            result.set(key.lower(), value, field)
        else:
            result.flag(field)
    return result.finish()


def _bool(key: str, value: str) -> bool:
    try:
        return values.boolean(value)
    except BadValue:
        raise BadValue(f"invalid value for {key}: {value}") from None


def _unexpected(key: str, field: str) -> BadValue:
    return BadValue(f"unexpected key '{key}' in '{field}'")


def split_volumes(specs: Iterable[str]) -> tuple[list[str], dict[str, Any]]:
    """-v: those with a source are Binds, a path alone is an anonymous volume. A source like ``./x`` is made absolute here,
    because only the client knows its own working directory; all else is the engine's to judge."""
    binds: list[str] = []
    volumes: dict[str, Any] = {}
    for spec in specs:
        source, colon, rest = spec.partition(":")
        if not colon:
            volumes[spec] = {}
        elif source.startswith("."):
            binds.append(f"{absolute(source)}:{rest}")
        else:
            binds.append(spec)
    return binds, volumes


def tmpfs(specs: Iterable[str]) -> dict[str, str]:
    """``/run:size=64m,mode=755`` → {"/run": "size=64m,mode=755"}."""
    return {target: options for target, _, options in (spec.partition(":") for spec in specs)}


def absolute(path: str) -> str:
    """The absolute path; as it is where the working directory is gone, and then the engine refuses it, as docker's does."""
    try:
        return os.path.abspath(path)
    except FileNotFoundError:
        return path
