"""Against the real thing: archives that docker save writes load here, and what we say of them is what docker says."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

from minidock.graph.export import export
from minidock.graph.import_ import import_
from minidock.graph.load import load
from minidock.graph.store import ImageStore
from tests.peers import dockerd

from .archives import files, stream

DOCKERFILE = """
FROM scratch
COPY one two /
COPY one /dir/
ENV A=1 B="two words"
CMD ["sh"]
"""


def test_docker_save_loads_here(store: ImageStore, tmp_path: Path) -> None:
    context = tmp_path / "context"
    context.mkdir()
    (context / "one").write_text("1")
    (context / "two").write_text("22")
    (context / "Dockerfile").write_text(DOCKERFILE)
    with dockerd(tmp_path / "d" if (tmp_path / "d").mkdir() is None else tmp_path) as docker:
        docker(
            "import", "-c", 'CMD ["x"]', "-c", "EXPOSE 80", "-c", "LABEL a='b c'", "-", "imported:1", stdin=files({"f": b"x"})
        )
        docker("build", "-t", "built:1", str(context))
        theirs = {name: json.loads(docker("image", "inspect", name).stdout)[0] for name in ("imported:1", "built:1")}
        saved = docker("save", "imported:1", "built:1").stdout
        lines = [r["stream"] for r in load(store, stream(saved)) if "stream" in r]
        assert sorted(lines) == ["Loaded image: built:1\n", "Loaded image: imported:1\n"]
        for name, inspected in theirs.items():
            image = store.get(name)
            assert image.id == inspected["Id"]
            assert list(image.diff_ids) == inspected["RootFS"]["Layers"]
            assert image.size == inspected["Size"]
            for key in ("Cmd", "Env", "ExposedPorts", "Labels"):
                assert (image.config["config"].get(key) or None) == (inspected["Config"].get(key) or None)
        layer = store.top_layer(store.get("built:1"))
        assert layer is not None
        ours = b"".join(export(store.driver, layer))
        container = docker("create", "built:1").stdout.decode().strip()
        flat = docker("export", container).stdout
        assert set(names(ours)) <= set(names(flat))  # docker's has the mount points of a container too
        mine = import_(store, stream(files({"f": b"x"})), "mine", ['CMD ["x"]', "EXPOSE 80", "LABEL a='b c'"])
        assert mine.diff_ids == store.get("imported:1").diff_ids
        settings = {k: v for k, v in theirs["imported:1"]["Config"].items() if k in ("Cmd", "ExposedPorts", "Labels")}
        assert mine.config["config"] == settings


def names(data: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return tar.getnames()
