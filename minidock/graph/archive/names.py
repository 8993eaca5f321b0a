"""What the names in an archive may say. Everything here is text in, text out; nothing touches a file.

Docker's rules (moby ``pkg/archive``), with docker's words: a leading "/" means the archive's root, ``.`` and double slashes are
dropped, and a name that climbs out of the root with ``..`` is refused.
"""

from __future__ import annotations

import posixpath

from minidock.errors import InvalidParameter

WHITEOUT = ".wh."
META = ".wh..wh."  # aufs's own entries: .wh..wh.aufs, .wh..wh.orph, .wh..wh.plnk
OPAQUE = ".wh..wh..opq"


def clean(name: str) -> str:
    """The member name below the root, without "/" in front ("" is the root itself). Raises InvalidParameter."""
    if "\0" in name:
        raise InvalidParameter(f"invalid name {name!r} in archive")
    inside = _normal(name)
    if inside == ".." or inside.startswith("../"):
        raise InvalidParameter(f'"{printable(name)}" is outside of the archive\'s root')
    return "" if inside == "." else inside


def check_symlink(path: str, target: str) -> None:
    """Refuse a symbolic link at `path` (cleaned) whose text climbs out of the root, as docker does."""
    if not target or "\0" in target:
        raise InvalidParameter(f'invalid symlink "{printable(path)}" -> "{printable(target)}"')
    if not target.startswith("/") and _normal(posixpath.join(posixpath.dirname(path), target)).split("/")[0] == "..":
        raise InvalidParameter(f'invalid symlink "{printable(path)}" -> "{printable(target)}"')


def hard_link(path: str, target: str) -> str:
    """The cleaned target of a hard link. Raises InvalidParameter in docker's words when it is outside."""
    inside = _normal(target)
    if "\0" in target or inside in ("..", ".") or inside.startswith("../"):
        raise InvalidParameter(f'invalid hardlink "{printable(path)}" -> "{printable(target)}"')
    return inside


def whiteout(base: str) -> str | None:
    """The name that the whiteout `base` deletes; None if it is no whiteout. Raises InvalidParameter for ``.wh.``, ``.wh..``
    and ``.wh...``, which would delete nothing, the directory itself, and its parent."""
    if not base.startswith(WHITEOUT):
        return None
    hidden = base[len(WHITEOUT) :]
    if hidden in ("", ".", ".."):
        raise InvalidParameter(f'invalid whiteout "{base}"')
    return hidden


def printable(name: str) -> str:
    """The name fit for a message: what is not text is shown as escapes."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8") if name.isprintable() else ascii(name)[1:-1]


def _normal(name: str) -> str:
    return posixpath.normpath("/".join(part for part in name.split("/") if part) or ".")
