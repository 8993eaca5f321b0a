"""``docker rmi``: take a name away from an image; with its last name goes the image, unless something needs it.

The rules are docker 20.10's (``daemon/images/image_delete.go``)::

    by name    ├── other names remain ───────────────────────────── Untagged, done
               ├── the last one, a container uses it, no force ──── conflict (must force)
               └── the last one ─────────────────────────────────── Untagged, then the image below
    by id      ├── names in several repositories, no force ──────── conflict (must be forced)
               └── else all its names ───────────────────────────── Untagged, then the image below
    the image  ├── a running container uses it ──────────────────── conflict (cannot be forced); by name: it stays, nameless
               ├── a stopped container uses it, no force ────────── conflict (must be forced)
               └── else ─────────────────────────────────────────── Deleted

One thing differs, with force and a stopped container: docker deletes the image and keeps its layers for the container; here the
image keeps its id and loses its names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from minidock.daemon.base.verb import verb
from minidock.daemon.images.ls import references, repository
from minidock.daemon.record.container import Container
from minidock.daemon.record.names import all_containers
from minidock.errors import Conflict

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine
    from minidock.graph.store import Image

Record = dict[str, str]


@verb
def rmi(engine: Engine, ref: str, *, force: bool = False) -> list[Record]:
    """Remove by name, id or id prefix. Returns ``[{"Untagged": name} …, {"Deleted": id} …]``.

    Raises ImageNotFound, and Conflict in docker's words.
    """
    with engine.images.lock():
        image = engine.images.get(ref)
        names = references(engine, image)
        users = using(engine, image.id)
        if _is_id(image.id, ref, names):
            return _by_id(engine, image, names, users, force)
        return _by_name(engine, ref, image, names, users, force)


def using(engine: Engine, image_id: str) -> list[Container]:
    """The containers made from this image, newest first."""
    return [container for _, container in all_containers(engine) if container.record["Image"] == image_id]


def _is_id(image_id: str, ref: str, names: list[str]) -> bool:
    """Whether `ref` meant the image by its id. A name such as "b" or "cafe" is one, also when the id begins with it."""
    if ref in names or f"{ref}:latest" in names:
        return False
    return image_id.startswith(ref) or image_id.removeprefix("sha256:").startswith(ref)


def _by_name(
    engine: Engine, ref: str, image: Image, names: list[str], users: list[Container], force: bool
) -> list[Record]:  # fmt: skip
    if len(names) == 1 and users and not force:
        raise Conflict(
            f'conflict: unable to remove repository reference "{ref}" (must force) - '
            f"container {users[0].id[:12]} is using its referenced image {short(image.id)}"
        )
    records = [{"Untagged": engine.images.untag(ref)}]
    left = references(engine, image)
    # A digest says which image a name stood for; without the name it says nothing.
    gone = {repository(record["Untagged"]) for record in records}
    if left and all("@" in name and repository(name) in gone for name in left):
        records += _untag_all(engine, left)
        left = []
    return records if left or users else records + _delete(engine, image)


def _by_id(engine: Engine, image: Image, names: list[str], users: list[Container], force: bool) -> list[Record]:
    if running := next((c for c in users if c.state().active), None):
        raise _conflict(image, "cannot be forced", f"image is being used by running container {running.id[:12]}")
    if not force and (len({repository(name) for name in names}) > 1 or sum("@" not in name for name in names) > 1):
        raise _conflict(image, "must be forced", "image is referenced in multiple repositories")
    if not force and users:
        raise _conflict(image, "must be forced", f"image is being used by stopped container {users[0].id[:12]}")
    records = _untag_all(engine, names)
    return records if users else records + _delete(engine, image)


def _untag_all(engine: Engine, names: list[str]) -> list[Record]:
    for name in names:
        engine.images.untag(name)
    return [{"Untagged": name} for name in names]


def _delete(engine: Engine, image: Image) -> list[Record]:
    return [{"Deleted": id} for id in engine.images.delete(image.id)]


def _conflict(image: Image, force: str, why: str) -> Conflict:
    return Conflict(f"conflict: unable to delete {short(image.id)} ({force}) - {why}")


def short(image_id: str) -> str:
    """docker's 12 digits of an image's id."""
    return image_id.removeprefix("sha256:")[:12]
