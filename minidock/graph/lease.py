"""Leases: how a process says "I am using this" while no image says it yet.

A layer is needed as long as an image names it. While an image is being loaded, its first layers are there and named by
nothing; while one is being deleted, its last layers are still there and named by nothing any more. A lease covers both: an
empty file in the owner's scratch directory (see graphdriver/scratch.py), which is alive exactly as long as its owner::

    tmp/<owner>/lease.N/
        chain-<chain hex>    this layer is in use: nobody may delete it
        cache-<cache id>     this driver layer is being made: it belongs to no layer yet

When the owner dies, `collect` of any later engine reads what is left of its leases and deletes the layers that no image and
no living lease names. Nothing has to be searched for: no process ever leaves something that it did not note first.
(containerd's garbage collection has the word, and the idea.)
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from minidock.graphdriver.scratch import Scratch


class Lease:
    """The notes of one operation, in `directory`. Make it with `take`."""

    def __init__(self, directory: str, scratch: Scratch) -> None:
        self.directory = directory
        self._scratch = scratch

    def chain(self, chain_id: str) -> None:
        """Note that the layer is in use."""
        self._note(f"chain-{chain_id.removeprefix('sha256:')}")

    def cache(self, cache_id: str) -> None:
        """Note that the driver layer is about to be made."""
        self._note(f"cache-{cache_id}")

    def _note(self, name: str) -> None:
        os.close(os.open(os.path.join(self.directory, name), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))

    def notes(self) -> tuple[set[str], set[str]]:
        """(chain ids, cache ids) noted so far."""
        return _read(self.directory)

    def adopt(self, scratch_directory: str) -> None:
        """Take over the notes of a dead owner."""
        chains, caches = notes_below(scratch_directory)
        for chain_id in chains:
            self.chain(chain_id)
        for cache_id in caches:
            self.cache(cache_id)

    def let_go(self) -> None:
        """No layer is in use any more; what was being made or unmade stays noted."""
        for name in _names(self.directory):
            if name.startswith("chain-"):
                os.unlink(os.path.join(self.directory, name))

    def end(self) -> None:
        """Forget the notes."""
        self._scratch.discard(self.directory)


def take(scratch: Scratch) -> Lease:
    """A new lease without notes. End it with `Lease.end`; ended or not, it dies with its process."""
    directory = scratch.name("lease")
    os.mkdir(directory, 0o700)
    return Lease(directory, scratch)


def notes_below(directory: str) -> tuple[set[str], set[str]]:
    """All chain and cache ids that the leases in one scratch directory name."""
    chains: set[str] = set()
    caches: set[str] = set()
    for name in _names(directory):
        if name.startswith("lease."):
            more_chains, more_caches = _read(os.path.join(directory, name))
            chains |= more_chains
            caches |= more_caches
    return chains, caches


def leased(tmp: str, *, without: Sequence[str] = ()) -> set[str]:
    """The chain ids that leases below ``ROOT/tmp`` name, dead owners' included (their end is the sweeper's business).

    without: scratch directories or single leases that are not to count.
    """
    chains: set[str] = set()
    for owner in _names(tmp):
        for name in _names(os.path.join(tmp, owner)):
            lease = os.path.join(tmp, owner, name)
            if name.startswith("lease.") and lease not in without and os.path.join(tmp, owner) not in without:
                chains |= _read(lease)[0]
    return chains


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _read(directory: str) -> tuple[set[str], set[str]]:
    names = _names(directory)
    chains = {f"sha256:{n.removeprefix('chain-')}" for n in names if n.startswith("chain-")}
    return chains, {n.removeprefix("cache-") for n in names if n.startswith("cache-")}
