"""The image verbs on a real store: Engine API shapes, docker's rules, docker's words."""

from __future__ import annotations

import gzip
import io
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from minidock import daemon, errors
from minidock.daemon import open_engine
from minidock.daemon.containers import create
from minidock.daemon.engine import Engine
from minidock.daemon.images import history, import_, rmi, tag
from minidock.daemon.system import df, info, version
from minidock.daemon.system.teardown import teardown

BUSYBOX = Path("/bin/busybox")


def tar_of(**files: bytes) -> bytes:
    """A tar with these files, executable."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o755
            tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """An engine with nothing in it."""
    root = tmp_path / "root"
    try:
        with open_engine(root) as engine:
            yield engine
    finally:
        teardown(root)


def make(engine: Engine, ref: str = "base", content: bytes = b"x", changes: tuple[str, ...] = ('CMD ["/sh"]',)) -> str:
    """Import an image with one file; returns its id."""
    repository, _, name = ref.partition(":")
    records = list(import_.import_(engine, "-", io.BytesIO(tar_of(sh=content)), repository=repository, tag=name or None,
                                   changes=changes))  # fmt: skip
    return str(records[-1]["status"])


def listed(engine: Engine, **filters: list[str]) -> list[str]:
    return [image["Id"] for image in daemon.list_images(engine, filters=filters)]


def test_an_import_is_listed_and_inspected(engine: Engine) -> None:
    id = make(engine, "tools:v1", b"hello", ('CMD ["/sh", "-c"]', "ENV A=1", "LABEL role=test"))
    (summary,) = daemon.list_images(engine)
    assert summary == {
        "Id": id, "ParentId": "", "RepoTags": ["tools:v1"], "RepoDigests": [], "Created": summary["Created"], "Size": 5,
        "VirtualSize": 5, "SharedSize": -1, "Labels": {"role": "test"}, "Containers": -1,
    }  # fmt: skip
    assert isinstance(summary["Created"], int) and summary["Created"] > 1_700_000_000
    shown = daemon.inspect_image(engine, "tools:v1")
    assert (shown["Id"], shown["RepoTags"], shown["Size"], shown["Comment"]) == (id, ["tools:v1"], 5, "Imported from -")
    assert (shown["Config"]["Cmd"], shown["Config"]["Env"], shown["Os"]) == (["/sh", "-c"], ["A=1"], "linux")
    assert shown["RootFS"]["Type"] == "layers" and len(shown["RootFS"]["Layers"]) == 1
    assert shown["GraphDriver"]["Name"] == engine.layers.name
    for ref in (id, id.removeprefix("sha256:")[:12], "tools:v1", "docker.io/library/tools:v1"):
        assert daemon.inspect_image(engine, ref)["Id"] == id
    (step,) = history.history(engine, id)
    assert (step["Id"], step["Tags"], step["Size"], step["Comment"]) == (id, ["tools:v1"], 5, "Imported from -")


def test_a_packed_archive_is_imported_too(engine: Engine) -> None:
    packed = io.BytesIO(gzip.compress(tar_of(sh=b"x")))
    plain = make(engine, "plain")
    (record,) = import_.import_(engine, "-", packed, repository="packed", message="by hand")
    image = daemon.inspect_image(engine, "packed")
    assert record["status"] == image["Id"] != plain
    assert image["Comment"] == "by hand"
    assert image["RootFS"] == daemon.inspect_image(engine, "plain")["RootFS"]


def test_filters(engine: Engine) -> None:
    """`images --filter` lists what docker would list."""
    first = make(engine, "one", b"1", ("LABEL a=1",))
    second = make(engine, "two:x", b"2", ("LABEL a=2", "LABEL b="))
    third = make(engine, "", b"3")
    tag.tag(engine, first, "reg.example:5000/team/one", "y")
    assert listed(engine) == [third, second, first]
    assert listed(engine, dangling=["true"]) == [third]
    assert listed(engine, dangling=["false"]) == [second, first]
    assert listed(engine, label=["a"]) == [second, first]
    assert listed(engine, label=["a=2", "b"]) == [second]
    assert listed(engine, before=["two:x"]) == [first]
    assert listed(engine, since=[first]) == [third, second]
    assert listed(engine, reference=["one"]) == [first]
    assert listed(engine, reference=["*:x"]) == [second]
    assert listed(engine, reference=["*"]) == [second, first]
    assert listed(engine, reference=["*/*/one"]) == [first]
    assert listed(engine, reference=["*/one"]) == []  # a star stops at a slash
    assert listed(engine, reference=["t[a-z]o", "none"]) == [second]
    for wrong in ({"dangling": ["maybe"]}, {"size": ["1"]}, {"reference": ["[a"]}):
        with pytest.raises(errors.InvalidParameter, match="Invalid filter"):
            listed(engine, **wrong)
    with pytest.raises(errors.ImageNotFound, match="No such image: nothing:latest"):
        listed(engine, since=["nothing"])


def test_tags_move_and_are_checked(engine: Engine) -> None:
    first, second = make(engine, "a", b"1"), make(engine, "b", b"2")
    tag.tag(engine, "a", "c", "1")
    tag.tag(engine, first, "d:2")
    assert daemon.inspect_image(engine, first)["RepoTags"] == ["a:latest", "c:1", "d:2"]
    tag.tag(engine, "b", "c", "1")
    assert daemon.inspect_image(engine, second)["RepoTags"] == ["b:latest", "c:1"]
    for repository, name in (("UPPER", None), ("a", "bad tag"), ("a@sha256:" + "0" * 64, None), ("", None)):
        with pytest.raises(errors.InvalidParameter):
            tag.tag(engine, "a", repository, name)
    with pytest.raises(errors.ImageNotFound, match="No such image: x:latest"):
        tag.tag(engine, "x", "y")


def test_rmi_by_name_untags_then_deletes(engine: Engine) -> None:
    id = make(engine, "a")
    tag.tag(engine, "a", "b")
    assert rmi.rmi(engine, "b") == [{"Untagged": "b:latest"}]
    records = rmi.rmi(engine, "a")
    assert records[:2] == [{"Untagged": "a:latest"}, {"Deleted": id}]
    assert [set(record) for record in records[2:]] == [{"Deleted"}]  # its layer
    assert daemon.list_images(engine) == []
    assert list((engine.paths.root / "layers").iterdir()) == []
    with pytest.raises(errors.ImageNotFound, match="No such image: a:latest"):
        rmi.rmi(engine, "a")


def test_rmi_by_id_wants_force_for_several_repositories(engine: Engine) -> None:
    id = make(engine, "a")
    tag.tag(engine, "a", "b")
    short = id[7:19]
    with pytest.raises(errors.Conflict) as refused:
        rmi.rmi(engine, short)
    words = f"conflict: unable to delete {short} (must be forced) - image is referenced in multiple repositories"
    assert str(refused.value) == words
    assert rmi.rmi(engine, short, force=True)[:3] == [{"Untagged": "a:latest"}, {"Untagged": "b:latest"}, {"Deleted": id}]


def test_rmi_of_a_used_image(engine: Engine) -> None:
    id = make(engine, "a")
    container = create.create(engine, {"Image": "a"}, {"NetworkMode": "none"})["Id"]
    with pytest.raises(errors.Conflict) as refused:
        rmi.rmi(engine, "a")
    assert str(refused.value) == (
        f'conflict: unable to remove repository reference "a" (must force) - container {container[:12]} '
        f"is using its referenced image {id[7:19]}"
    )
    with pytest.raises(errors.Conflict) as refused:
        rmi.rmi(engine, id)
    assert str(refused.value) == (
        f"conflict: unable to delete {id[7:19]} (must be forced) - image is being used by stopped container {container[:12]}"
    )
    tag.tag(engine, "a", "b")
    assert rmi.rmi(engine, "b") == [{"Untagged": "b:latest"}]  # not the last name: nothing to refuse
    assert rmi.rmi(engine, "a", force=True) == [{"Untagged": "a:latest"}]
    assert listed(engine, dangling=["true"]) == [id]  # the container still has its layers


def test_a_shared_layer_stays_with_the_other_image(engine: Engine) -> None:
    first, second = make(engine, "a", b"same"), make(engine, "b", b"same", ("ENV X=1",))
    assert rmi.rmi(engine, "a") == [{"Untagged": "a:latest"}, {"Deleted": first}]
    assert daemon.inspect_image(engine, "b")["Id"] == second
    assert len(rmi.rmi(engine, "b")) == 3


def test_prune(engine: Engine) -> None:
    """Pruning takes what nobody uses, says how much came back, and never an image that a container needs."""
    nameless, named, used = make(engine, "", b"11"), make(engine, "named", b"2"), make(engine, "used", b"3")
    container = create.create(engine, {"Image": "used"}, {"NetworkMode": "none"})["Id"]
    with pytest.raises(errors.InvalidParameter, match="Invalid filter 'x'"):
        daemon.prune_images(engine, {"x": ["1"]})
    assert daemon.prune_images(engine, {"label": ["no"]}) == {"ImagesDeleted": None, "SpaceReclaimed": 0}
    pruned = daemon.prune_images(engine)
    assert (pruned["ImagesDeleted"][0], pruned["SpaceReclaimed"]) == ({"Deleted": nameless}, 2)
    pruned = daemon.prune_images(engine, {"dangling": ["false"]})
    assert pruned["ImagesDeleted"][:2] == [{"Untagged": "named:latest"}, {"Deleted": named}]
    assert listed(engine) == [used]
    assert daemon.prune_containers(engine, {"until": ["1h"]})["ContainersDeleted"] is None
    assert daemon.prune_containers(engine)["ContainersDeleted"] == [container]


def test_df_counts_a_shared_layer_once(engine: Engine) -> None:
    make(engine, "a", b"12345"), make(engine, "b", b"12345", ("ENV X=1",)), make(engine, "c", b"1")
    used = df.df(engine)
    assert used["LayersSize"] == 6
    assert len(used["Images"]) == 3 and used["Containers"] == []


@pytest.fixture
def website() -> Iterator[str]:
    """A web server on loopback: /tar is an archive, all else 404."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/tar" else 404)
            self.end_headers()
            self.wfile.write(tar_of(sh=b"web"))

        def log_message(self, *args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_import_from_a_url(engine: Engine, website: str) -> None:
    first, last = import_.import_(engine, f"{website}/tar", repository="web")
    assert first == {"status": f"Downloading from http://{website}/tar"}
    assert daemon.inspect_image(engine, "web")["Id"] == last["status"]
    assert daemon.inspect_image(engine, "web")["Comment"] == f"Imported from {website}/tar"
    for wrong in (f"http://{website}/nothing", "http://127.0.0.1:1/x", "file:///etc/passwd", "http://"):
        with pytest.raises(errors.InvalidParameter):
            list(import_.import_(engine, wrong))
    assert len(daemon.list_images(engine)) == 1


@pytest.mark.parametrize("bad", [b"no tar at all" * 100, b"\x1f\x8bnot gzip"])
def test_a_bad_archive_leaves_nothing(engine: Engine, bad: bytes) -> None:
    with pytest.raises(errors.APIError):
        list(import_.import_(engine, "-", io.BytesIO(bad), repository="x"))
    with pytest.raises(errors.InvalidParameter):
        list(import_.import_(engine, "-", io.BytesIO(tar_of(sh=b"x")), repository="UPPER"))
    assert daemon.list_images(engine) == []
    assert list((engine.paths.root / "layers").iterdir()) == []


def test_info_and_version(engine: Engine) -> None:
    make(engine, "a")
    create.create(engine, {"Image": "a"}, {"NetworkMode": "none"})
    shown = info.info(engine)
    assert (shown["Containers"], shown["ContainersStopped"], shown["Images"]) == (1, 1, 1)
    assert shown["DockerRootDir"] == str(engine.paths.root)
    assert (shown["Driver"], shown["LoggingDriver"], shown["CgroupDriver"]) == (engine.layers.name, "json-file", "cgroupfs")
    assert shown["MemTotal"] > 1 << 28 and shown["NCPU"] >= 1 and shown["ID"]
    assert all(line.startswith("WARNING: ") for line in shown["Warnings"])
    # Since Linux 6.1 swap accounting cannot be switched off; on v1 the file says so itself.
    swap = Path("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes")
    assert shown["SwapLimit"] == (swap.exists() or shown["CgroupVersion"] == "2")
    told = version.version(engine)
    assert (told["ApiVersion"], told["MinAPIVersion"], told["Os"]) == ("1.41", "1.24", "linux")
    assert told["Arch"] in ("amd64", "arm64") and told["PythonVersion"].startswith("3.")


def test_networks_to_look_at(engine: Engine) -> None:
    assert [(n["Name"], n["Driver"]) for n in daemon.list_networks(engine)] == [
        ("bridge", "bridge"), ("none", "null"), ("host", "host")]  # fmt: skip
    assert [n["Name"] for n in daemon.list_networks(engine, {"driver": ["null"]})] == ["none"]
    assert daemon.inspect_network(engine, "host")["Containers"] == {}
    with pytest.raises(errors.NetworkNotFound, match="network nothing not found"):
        daemon.inspect_network(engine, "nothing")
    with pytest.raises(errors.InvalidParameter, match="Invalid filter 'x'"):
        daemon.list_networks(engine, {"x": ["1"]})
