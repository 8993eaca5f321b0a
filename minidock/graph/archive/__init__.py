"""Archives in and out: guarded extraction of a tar (`extract`) and deterministic packing of a tree (`pack`).

Members follow the layer rules of the OCI image specification (layer.md): ``.wh.NAME`` deletes NAME of the layers below,
``.wh..wh..opq`` hides all of a directory's lower content.
"""

from __future__ import annotations

from minidock.graph.archive.extract import Extracted, Limits, Whiteouts, extract
from minidock.graph.archive.pack import pack
from minidock.graph.archive.reader import TarStream, decompressed

__all__ = ["Extracted", "Limits", "TarStream", "Whiteouts", "decompressed", "extract", "pack"]
