"""Detach keys: the sequence that ends an attached session and leaves the container running (docker's ``--detach-keys``)."""

from __future__ import annotations

from minidock import errors

DEFAULT = "ctrl-p,ctrl-q"
_CONTROL = {f"ctrl-{chr(c + 0x60)}": c for c in range(1, 27)} | {
    f"ctrl-{char}": code for char, code in (("@", 0), ("[", 27), ("\\", 28), ("]", 29), ("^", 30), ("_", 31))
}


def parse(keys: str) -> bytes:
    """The bytes of a sequence such as ``ctrl-p,ctrl-q`` or ``a,ctrl-]`` or ``DEL``; "" stands for docker's default.

    A part is one character, ``ctrl-`` with one of ``a``-``z @ [ \\ ] ^ _``, or ``DEL`` (github.com/moby/term, ascii.go).
    Raises InvalidParameter in docker's words.
    """
    codes = bytearray()
    for key in (keys or DEFAULT).split(","):
        if len(key.encode()) == 1:
            codes += key.encode()
        elif key in _CONTROL:
            codes.append(_CONTROL[key])
        elif key == "DEL":
            codes.append(127)
        else:
            raise errors.InvalidParameter(f"Invalid detach keys ({keys}) provided")
    return bytes(codes)


class Scanner:
    """Looks for a key sequence in a stream that arrives in pieces, and holds back what may be its beginning."""

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._held = b""

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """(what may pass on, True if the sequence is complete). Nothing after the sequence passes; nor the sequence itself."""
        if not self._keys:
            return data, False
        data = self._held + data
        found = data.find(self._keys)
        if found >= 0:
            self._held = b""
            return data[:found], True
        hold = next(n for n in range(min(len(self._keys) - 1, len(data)), -1, -1) if data.endswith(self._keys[:n]))
        self._held = data[len(data) - hold :]
        return data[: len(data) - hold], False

    def flush(self) -> bytes:
        """What is held back, when the stream has ended and no sequence will come any more."""
        held, self._held = self._held, b""
        return held
