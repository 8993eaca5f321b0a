"""Containers by name: docker's random names, what a name may be, and how a container is looked up.

The name is taken by inserting a row into linkgraph.db; the primary key is the lock.
"""

from __future__ import annotations

import os
import re
import sqlite3
from typing import TYPE_CHECKING

from minidock.daemon.record.container import Container
from minidock.errors import Conflict, ContainerNotFound, InvalidParameter

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine

VALID = re.compile(r"/?[a-zA-Z0-9][a-zA-Z0-9_.-]+")  # daemon/names of docker 20.10: RestrictedNameChars
_HEX = re.compile(r"[0-9a-f]{1,64}")

_ADJECTIVES = """admiring agile amber ancient autumn bold brave breezy bright brisk calm candid careful cheerful clever
cosmic crisp curious daring dazzling eager early earnest elegant epic faithful fearless festive focused friendly gallant
gentle gifted golden graceful happy hardy helpful hopeful humble inspiring jolly keen kind lively lucid lucky magical
merry mindful modest nimble noble patient peaceful playful polite practical proud quick quiet quirky radiant relaxed
reverent serene sharp silent sleepy sunny sweet swift tender thirsty tidy trusting upbeat vibrant vigilant warm wise
witty wonderful youthful zealous zen"""
_SURNAMES = """archimedes babbage backus bardeen bartik bell blackwell bohr boole borg brattain brown carson cerf clarke
corbato cori cray curie darwin dijkstra easley einstein engelbart euclid euler faraday fermat fermi feynman franklin
galileo galois gauss goldberg hamilton hawking heisenberg hermann hopper hypatia jackson jennings jepsen joliot kahn
kalman kapitza keller kepler kernighan khorana kilby knuth lamarr lamport leavitt liskov lovelace mclean meitner mendel
merkle moore morse naur newton nightingale noether pascal pasteur perlman pike poincare postel ptolemy ritchie rivest
sammet shannon shockley sinoussi stallman tesla thompson torvalds turing wescoff wilson wozniak yalow"""
ADJECTIVES, SURNAMES = _ADJECTIVES.split(), _SURNAMES.split()


def random_name(retry: bool = False) -> str:
    """docker's kind of name: ``adjective_surname``, with a digit behind it on a `retry` (pkg/namesgenerator)."""
    adjective, surname, digit = (int.from_bytes(os.urandom(4), "little") for _ in range(3))
    words = f"{ADJECTIVES[adjective % len(ADJECTIVES)]}_{SURNAMES[surname % len(SURNAMES)]}"
    return f"{words}{digit % 10}" if retry else words


def validate(name: str) -> str:
    """The name without a leading slash. Raises InvalidParameter in docker's words."""
    if not VALID.fullmatch(name):
        raise InvalidParameter(f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")
    return name.removeprefix("/")


def reserve(engine: Engine, id: str, name: str | None) -> str:
    """Take `name`, or a random free one, for container `id`. Raises Conflict in docker's words."""
    if name:
        _insert(engine, id, name)
        return name
    for attempt in range(6):
        candidate = random_name(retry=attempt > 0)
        try:
            _insert(engine, id, candidate)
        except Conflict:
            continue
        return candidate
    _insert(engine, id, id[:12])  # docker's last resort, too
    return id[:12]


def _insert(engine: Engine, id: str, name: str) -> None:
    try:
        engine.links.execute("INSERT INTO names (name, kind, id) VALUES (?, 'container', ?)", name, id)
    except sqlite3.IntegrityError:
        raise conflict(engine, name) from None


def conflict(engine: Engine, name: str) -> Conflict:
    """docker's words for a name that is taken."""
    row = engine.links.execute("SELECT id FROM names WHERE kind='container' AND name=?", name).fetchone()
    return Conflict(
        f'Conflict. The container name "/{name}" is already in use by container "{row[0] if row else ""}". '
        "You have to remove (or rename) that container to be able to reuse that name."
    )


def release(engine: Engine, id: str) -> None:
    """Free the name of container `id`. Safe to repeat."""
    engine.links.execute("DELETE FROM names WHERE kind='container' AND id=?", id)


def lookup(engine: Engine, ref: str) -> Container:
    """The container with this full id, name or unique id prefix, tried in that order, as docker does.

    Raises ContainerNotFound, or InvalidParameter for a prefix that several ids have.
    """
    if not ref.isascii() or "\0" in ref:  # no name and no id, and nothing that a database could be asked for
        raise ContainerNotFound(ref)
    if len(ref) == 64 and _HEX.fullmatch(ref):
        return Container.load(engine, ref)
    row = engine.links.execute("SELECT id FROM names WHERE kind='container' AND name=?", ref.removeprefix("/")).fetchone()
    if row is not None:
        return _load(engine, row[0], ref)
    if not _HEX.fullmatch(ref):
        raise ContainerNotFound(ref)
    rows = engine.links.execute("SELECT id FROM names WHERE kind='container' AND id GLOB ? LIMIT 2", ref + "*").fetchall()
    if len(rows) > 1:
        raise InvalidParameter(f"multiple IDs found with provided prefix: {ref}")
    if not rows:
        raise ContainerNotFound(ref)
    return _load(engine, rows[0][0], ref)


def _load(engine: Engine, id: str, ref: str) -> Container:
    try:
        return Container.load(engine, id)
    except ContainerNotFound:  # named, but still being made or already going
        raise ContainerNotFound(ref) from None


def all_containers(engine: Engine) -> list[tuple[str, Container]]:
    """(name, container) of every whole container, newest first."""
    rows = engine.links.execute("SELECT id, name FROM names WHERE kind='container'").fetchall()
    found = []
    for id, name in rows:
        try:
            found.append((name, Container.load(engine, id)))
        except ContainerNotFound:
            continue
    return sorted(found, key=lambda pair: str(pair[1].record["Created"]), reverse=True)
