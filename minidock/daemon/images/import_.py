"""``docker import``: an image of one layer from a tar of files. Source: Engine API 1.41, ``POST /images/create?fromSrc=``."""

from __future__ import annotations

import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import urlsplit

from minidock.daemon.base import verb
from minidock.errors import InvalidParameter

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine

CHUNK = 1 << 20
TIMEOUT = 60


@verb.stream
def import_(
    engine: Engine,
    source: str,
    file: BinaryIO | None = None,
    *,
    repository: str | None = None,
    tag: str | None = None,
    changes: Iterable[str] = (),
    message: str | None = None,
) -> Iterator[dict[str, Any]]:
    """Import `file` when `source` is "-", else what is at the URL `source` (without a scheme: http, as docker has it).

    `changes` are Dockerfile lines for the image's config; `message` its comment (default: "Imported from SOURCE"). Works as the
    records are taken; the last is ``{"status": "sha256:…"}``. Raises InvalidParameter for a bad name, URL, change or archive.
    """
    from minidock.graph import import_ as graph
    from minidock.graph import reference

    ref = reference.for_tagging(repository, tag or "") if repository else ""
    comment = message or f"Imported from {source}"
    if source == "-":
        if file is None:
            raise InvalidParameter("import from -: no archive was given")
        image = graph.import_(engine.images, file, ref, list(changes), comment)
    else:
        url = source if "://" in source else f"http://{source}"
        yield {"status": f"Downloading from {url}"}
        with _download(url) as body:
            image = graph.import_(engine.images, body, ref, list(changes), comment)
    yield {"status": image.id}


@contextmanager
def _download(url: str) -> Iterator[BinaryIO]:
    """The body at `url` in an unnamed temporary file: reading an archive may need to seek, a connection cannot."""
    if urlsplit(url).scheme not in ("http", "https"):
        raise InvalidParameter(f'unsupported protocol scheme "{urlsplit(url).scheme}" in {url}')
    with tempfile.TemporaryFile() as body:
        try:
            with urllib.request.urlopen(url, timeout=TIMEOUT) as response:
                while data := response.read(CHUNK):
                    body.write(data)
        except (urllib.error.URLError, ValueError) as error:
            raise InvalidParameter(f"Get {url}: {getattr(error, 'reason', error)}") from error
        body.seek(0)
        yield body
