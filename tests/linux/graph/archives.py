"""Archives for the tests: tars, hostile ones too, and what docker save made of images, then and now."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any


def member(name: str, kind: bytes = tarfile.REGTYPE, data: bytes = b"", **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    """One entry for `tar`."""
    info = tarfile.TarInfo(name)
    info.type, info.size, info.mtime = kind, len(data), 1_400_000_000
    info.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
    for key, value in fields.items():
        setattr(info, key, value)
    return info, data


def tar(*members: tuple[tarfile.TarInfo, bytes], format: int = tarfile.PAX_FORMAT) -> bytes:
    """An archive of exactly these entries, whatever they say."""
    blocks = b"".join(info.tobuf(format, "utf-8", "surrogateescape") + data + bytes(-len(data) % 512) for info, data in members)
    return blocks + bytes(1024)


def files(contents: dict[str, bytes]) -> bytes:
    """An archive of plain files."""
    return tar(*(member(name, data=data) for name, data in contents.items()))


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def config(*layers: bytes, **fields: Any) -> bytes:
    """An image config for these (uncompressed) layers."""
    value = {
        "architecture": "amd64",
        "os": "linux",
        "created": "2015-03-30T09:38:11Z",
        "config": {"Cmd": ["sh"], "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [digest(layer) for layer in layers]},
        "history": [{"created": "2015-03-30T09:38:11Z", "created_by": "test"} for _ in layers],
    }
    return json.dumps(value | fields).encode()


def docker_archive(*layers: bytes, tags: tuple[str, ...] = ("made:latest",), compress: bool = False, **fields: Any) -> bytes:
    """What docker save 1.10 to 24 wrote: a layer that comes a second time is a link to the first."""
    image = config(*layers, **fields)
    name = digest(image)[7:]
    members, seen, paths = [], dict[bytes, str](), []
    for number, layer in enumerate(layers):
        path = f"{number:064x}/layer.tar"
        paths.append(path)
        if layer in seen:
            members.append(member(path, tarfile.SYMTYPE, linkname=f"../{seen[layer]}"))
        else:
            seen[layer] = path
            members.append(member(path, data=gzip.compress(layer) if compress else layer))
    manifest = [{"Config": f"{name}.json", "RepoTags": list(tags) or None, "Layers": paths}]
    return tar(*members, member(f"{name}.json", data=image), member("manifest.json", data=json.dumps(manifest).encode()))


def oci_archive(*layers: bytes, name: str = "", compress: bool = False) -> bytes:
    """An OCI image layout, as skopeo, buildkit and docker save from 25 on write it."""
    blobs: dict[str, bytes] = {}

    def blob(data: bytes, kind: str) -> dict[str, Any]:
        blobs[digest(data)] = data
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": digest(data), "size": len(data)}

    packed = [gzip.compress(layer) if compress else layer for layer in layers]
    manifest = {
        "schemaVersion": 2,
        "config": blob(config(*layers), "config.v1+json"),
        "layers": [blob(layer, "layer.v1.tar" + ("+gzip" if compress else "")) for layer in packed],
    }
    descriptor = blob(json.dumps(manifest).encode(), "manifest.v1+json")
    if name:
        descriptor["annotations"] = {"io.containerd.image.name": name}
    index = {"schemaVersion": 2, "manifests": [descriptor]}
    return tar(
        member("oci-layout", data=b'{"imageLayoutVersion":"1.0.0"}'),
        member("index.json", data=json.dumps(index).encode()),
        *(member(f"blobs/sha256/{d[7:]}", data=data) for d, data in blobs.items()),
    )


def legacy_archive(*layers: bytes, repository: str = "old", tag: str = "latest") -> bytes:
    """What docker save up to 1.9 wrote."""
    members, parent = [], ""
    for number, layer in enumerate(layers):
        id = f"{number + 1:064x}"
        v1 = {"id": id, "created": "2014-01-01T00:00:00Z", "config": {"Cmd": ["sh"]}, "architecture": "amd64", "os": "linux"}
        if parent:
            v1["parent"] = parent
        members += [
            member(f"{id}/", tarfile.DIRTYPE),
            member(f"{id}/VERSION", data=b"1.0"),
            member(f"{id}/json", data=json.dumps(v1).encode()),
            member(f"{id}/layer.tar", data=layer),
        ]
        parent = id
    return tar(*members, member("repositories", data=json.dumps({repository: {tag: parent}}).encode()))


def stream(data: bytes) -> io.BytesIO:
    return io.BytesIO(data)


class Pipe:
    """A stream that cannot seek and gives little at a time."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def read(self, n: int = -1) -> bytes:
        return self._data.read(min(n, 1000) if n >= 0 else 1000)


def content(top: Path) -> dict[str, bytes]:
    """Every regular file of a tree."""
    return {str(p.relative_to(top)): p.read_bytes() for p in sorted(top.rglob("*")) if p.is_file() and not p.is_symlink()}
