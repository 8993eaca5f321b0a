"""Images: shared layers, names, deletion, and what is left when somebody dies half-way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from minidock.errors import ImageNotFound, InvalidParameter
from minidock.graph.export import export
from minidock.graph.import_ import import_
from minidock.graph.load import load
from minidock.graph.store import ImageStore
from minidock.linux import trace
from minidock.linux.openat2 import openat2

from .archives import Pipe, config, digest, docker_archive, files, legacy_archive, oci_archive, stream
from .conftest import Opener

ONE, TWO, THREE = files({"one": b"1"}), files({"two": b"22"}), files({"three": b"333", ".wh.one": b""})


def state(root: Path) -> dict[str, list[str]]:
    """What lies in the state directory, by folder."""
    return {
        name: sorted(os.listdir(root / name))
        for name in ("content/sha256", "layers", "overlay", "vfs", "tmp")
        if (root / name).exists()
    }


def tree(store: ImageStore, ref: str) -> dict[str, bytes]:
    layer = store.top_layer(store.get(ref))
    assert layer is not None
    with store.driver.mounted(layer) as path:
        return {p.name: p.read_bytes() for p in path.iterdir()}


def run(store: ImageStore, data: bytes) -> list[str]:
    return [record["stream"] for record in load(store, stream(data)) if "stream" in record]


def test_a_docker_archive(store: ImageStore) -> None:
    archive = docker_archive(ONE, TWO, THREE, tags=("made:1", "alice/made:latest"))
    assert run(store, archive) == ["Loaded image: made:1\n", "Loaded image: alice/made:latest\n"]
    image = store.get("made:1")
    assert image.id == digest(config(ONE, TWO, THREE))
    assert image.diff_ids == (digest(ONE), digest(TWO), digest(THREE))
    assert image.size == 6
    assert image.config["config"]["Cmd"] == ["sh"]
    assert store.references(image.id) == ["alice/made:latest", "made:1"]
    assert tree(store, "alice/made") == {"two": b"22", "three": b"333"}


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("make", [docker_archive, oci_archive])
def test_layers_may_be_compressed_and_the_archive_a_pipe(store: ImageStore, make: object, compress: bool) -> None:
    import gzip

    data = make(ONE, TWO, compress=compress)  # type: ignore[operator]
    records = list(load(store, Pipe(gzip.compress(data) if compress else data)))
    image = store.images()[0]
    assert image.id == digest(config(ONE, TWO))
    assert records[0]["status"] == "Loading layer"
    assert records[0]["id"] == digest(ONE)[7:19]
    assert records[1]["progressDetail"]["current"] == records[1]["progressDetail"]["total"]
    assert tree(store, image.id) == {"one": b"1", "two": b"22"}


def test_repeated_layers_are_links_in_the_archive(store: ImageStore) -> None:
    run(store, docker_archive(ONE, TWO, ONE))
    assert store.get("made").diff_ids == (digest(ONE), digest(TWO), digest(ONE))


def test_an_oci_layout(store: ImageStore) -> None:
    assert run(store, oci_archive(ONE, name="docker.io/library/made:oci")) == ["Loaded image: made:oci\n"]
    assert run(store, oci_archive(TWO)) == [f"Loaded image ID: {digest(config(TWO))}\n"]


def test_an_archive_of_docker_1_9(store: ImageStore) -> None:
    assert run(store, legacy_archive(ONE, TWO)) == ["Loaded image: old:latest\n"]
    image = store.get("old")
    assert image.config["config"] == {"Cmd": ["sh"]}
    assert len(image.config["history"]) == 2
    assert "parent" not in image.config
    assert tree(store, "old") == {"one": b"1", "two": b"22"}


def test_loading_again_changes_nothing(store: ImageStore, root: Path) -> None:
    run(store, docker_archive(ONE, TWO))
    before = state(root)
    assert run(store, docker_archive(ONE, TWO)) == ["Loaded image: made:latest\n"]
    assert state(root) == before


def test_a_name_moves_and_says_so(store: ImageStore) -> None:
    run(store, docker_archive(ONE))
    old = store.get("made").id
    assert run(store, docker_archive(TWO)) == [
        f"The image made:latest already exists, renaming the old one with ID {old} to empty string\n",
        "Loaded image: made:latest\n",
    ]
    assert store.get(old).id == old
    assert store.references(old) == []


def test_layers_are_shared_and_counted(store: ImageStore, root: Path) -> None:
    run(store, docker_archive(ONE, TWO, tags=("a:latest",)))
    run(store, docker_archive(ONE, THREE, tags=("b:latest",)))
    assert len(state(root)["layers"]) == 3
    a, b = store.get("a"), store.get("b")
    assert store.delete(a.id) == [a.id, a.chain_ids[1]]
    assert tree(store, "b") == {"three": b"333"}
    assert store.delete(b.id) == [b.id, b.chain_ids[1], b.chain_ids[0]]
    left = state(root)
    assert left["content/sha256"] == left["layers"] == []
    assert left[store.driver.name] == []
    assert store.links.execute("SELECT count(*) FROM refs").fetchone() == (0,)
    with pytest.raises(ImageNotFound, match="No such image: a:latest"):
        store.get("a")


def test_how_an_image_is_found(store: ImageStore) -> None:
    run(store, docker_archive(ONE, tags=("made:1", "cafe:latest")))
    run(store, docker_archive(TWO, tags=()))
    image, other = store.get("made:1"), store.get(digest(config(TWO)))
    hexadecimal = image.id[7:]
    for ref in (image.id, hexadecimal, hexadecimal[:12], f"sha256:{hexadecimal[:6]}", "docker.io/library/made:1", "cafe"):
        assert store.get(ref) == image
    assert other != image
    for ref in ("made", "nothing", "sha256:" + "0" * 64, "0" * 64, "sha256:"):
        with pytest.raises((ImageNotFound, InvalidParameter)):
            store.get(ref)
    with pytest.raises(ImageNotFound, match="No such image: made:latest"):
        store.get("made")
    with pytest.raises(InvalidParameter, match="must be lowercase"):
        store.get("Made")


def test_an_ambiguous_beginning_is_no_image(store: ImageStore) -> None:
    number = 0
    while len({image.id[7] for image in store.images()}) == len(store.images()):  # 17 images share a first digit
        number += 1
        run(store, docker_archive(files({"f": b"%d" % number}), tags=()))
    firsts = [image.id[7] for image in store.images()]
    shared = next(c for c in firsts if firsts.count(c) > 1)
    with pytest.raises(ImageNotFound):
        store.get(f"sha256:{shared}")
    image = store.images()[0]
    assert store.get(image.id[7:20]) == image


def test_import_and_export(store: ImageStore) -> None:
    image = import_(store, stream(ONE), "mine:x", ['CMD ["a"]', "ENV A=1"], "by hand")
    assert image.config["config"] == {"Cmd": ["a"], "Env": ["A=1"]}
    assert image.config["history"][0]["comment"] == "by hand"
    assert store.get("mine:x") == image
    layer = store.top_layer(image)
    assert layer is not None
    again = import_(store, stream(b"".join(export(store.driver, layer))), "again")
    assert tree(store, "again") == {"one": b"1"}
    assert len(again.diff_ids) == 1


BAD = {
    "nothing": b"",
    "noise": b"nonsense" * 1000,
    "a tar of something": files({"hello": b"x"}),
    "no JSON": files({"manifest.json": b"{"}),
    "the wrong JSON": files({"manifest.json": b"{}"}),
    "an empty manifest": files({"manifest.json": b"[]"}),
    "deep JSON": files({"manifest.json": b"[" * 100_000}),
    "a config that is not there": files(
        {"manifest.json": json.dumps([{"Config": "x.json", "RepoTags": None, "Layers": []}]).encode()}
    ),
    "a climbing config": files(
        {"manifest.json": json.dumps([{"Config": "../../etc/passwd", "RepoTags": None, "Layers": []}]).encode()}
    ),
    "a name whose first part is in upper case": docker_archive(ONE, tags=("UP/x:1",)),
    "an environment that is a number": docker_archive(ONE, config={"Env": 5}),
    "made yesterday": docker_archive(ONE, created="yesterday"),
    "a bad tag": docker_archive(ONE, tags=("UPPER:x",)),
    "a tag without a tag": docker_archive(ONE, tags=("made",)),
    "a layer too few": docker_archive(ONE, TWO, rootfs={"type": "layers", "diff_ids": [digest(ONE)]}),
    "another layer than promised": docker_archive(
        ONE, TWO, rootfs={"type": "layers", "diff_ids": [digest(ONE), digest(THREE)]}
    ),
    "no digest": docker_archive(ONE, rootfs={"type": "layers", "diff_ids": ["../../../etc"]}),
    "windows": docker_archive(ONE, os="windows"),
    "a hostile layer": docker_archive(ONE, files({"../../escaped": b"x"})),
    "cut off": docker_archive(ONE, TWO)[:3000],
    "a blob that is another": oci_archive(ONE).replace(b'"Cmd"', b'"Cmx"'),
    "legacy without a layer": files({"repositories": json.dumps({"x": {"y": "1" * 64}}).encode()}),
    "legacy in a circle": files(
        {
            "repositories": json.dumps({"x": {"y": "1" * 64}}).encode(),
            f"{'1' * 64}/json": json.dumps({"parent": "1" * 64}).encode(),
        }
    ),
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_a_bad_archive_leaves_nothing(store: ImageStore, root: Path, data: bytes) -> None:
    run(store, docker_archive(THREE, tags=("before:latest",)))
    before = state(root)
    with pytest.raises(InvalidParameter):
        run(store, data)
    assert state(root) == before
    assert os.listdir(store.scratch.path) == []
    assert [image.id for image in store.images()] == [store.get("before").id]


def test_giving_up_in_the_middle_leaves_nothing(store: ImageStore, root: Path) -> None:
    before = state(root)
    records = load(store, stream(docker_archive(ONE, TWO)))
    next(records), next(records), next(records)
    assert len(state(root)["layers"]) == 1  # the first layer is there, and no image
    assert store.images() == []
    records.close()
    assert {**state(root), "tmp": []} == {**before, "tmp": []}


def actions(store: ImageStore) -> dict[str, object]:
    return {
        "load": lambda: run(store, docker_archive(ONE, TWO)),
        "import": lambda: import_(store, stream(THREE), "mine"),
        "delete": lambda: store.delete(store.get("victim").id),
    }


@pytest.mark.parametrize("action", ["load", "import", "delete"])
def test_a_fault_after_any_step_leaves_nothing(store: ImageStore, root: Path, action: str) -> None:
    """The failure injection of trace.py: first count the steps, then fail after each of them."""
    for number in range(1, 200):
        run(store, docker_archive(ONE, THREE, tags=("victim:latest",)))
        before = state(root)
        tracer = trace.Tracer("engine", trace.FaultPlan("engine", number))
        trace.install(tracer)
        try:
            actions(store)[action]()  # type: ignore[operator]
            failed = False
        except Exception as e:  # noqa: BLE001
            assert "injected" in str(e) or "input/output" in str(e).lower(), repr(e)
            failed = True
        finally:
            trace.install(None)
        if not failed:
            assert len(tracer.steps) < number
            break
        after = state(root)
        if action == "delete":  # from the first step on it is under way: then all of it goes
            assert after == before or after["layers"] == after["content/sha256"] == after[store.driver.name] == []
        else:
            assert after == before
        assert os.listdir(store.scratch.path) == []
    assert number > 3, "there were steps to fail after"


KILLED = """
import sys
from pathlib import Path
from minidock.graph.import_ import import_
from minidock.graph.load import load
from minidock.graph.store import ImageStore
from minidock.graphdriver.select import driver
from minidock.linkgraph import LinkGraph
from minidock.linux import trace
root, name, action, number, archive = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5]
store = ImageStore(root, driver(root, name), LinkGraph(root / "linkgraph.db"))
trace.install(trace.Tracer("engine", trace.FaultPlan("engine", number, kill=True)))
if action == "load":
    list(load(store, open(archive, "rb")))
else:
    store.delete(store.get("victim").id)
"""


@pytest.mark.parametrize("action", ["load", "delete"])
def test_a_kill_after_any_step_is_swept_up(open_store: Opener, root: Path, tmp_path: Path, action: str) -> None:
    store = open_store()
    archive = tmp_path / "archive.tar"
    archive.write_bytes(docker_archive(ONE, TWO))
    killed = 0
    for number in range(1, 100):
        run(store, docker_archive(ONE, THREE, tags=("victim:latest",)))
        before = state(root)
        done = subprocess.run([sys.executable, "-c", KILLED, root, store.driver.name, action, str(number), archive])
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL
        killed += 1
        store.sweep()
        after = state(root)
        if action == "delete" and after["content/sha256"] != before["content/sha256"]:
            assert after["content/sha256"] == after["layers"] == after[store.driver.name] == []
        elif action == "load" and after["content/sha256"] != before["content/sha256"]:
            assert tree(store, "made" if store.target("made:latest") else digest(config(ONE, TWO))) == {
                "one": b"1",
                "two": b"22",
            }
            store.delete(digest(config(ONE, TWO)))
        else:
            assert after == before
        assert tree(store, "victim") == {"three": b"333"} if store.target("victim:latest") else action == "delete"
    assert killed >= 3


def test_a_living_neighbour_is_left_alone(open_store: Opener, root: Path) -> None:
    """sweep and delete while another process is in the middle of loading what they would take away."""
    store = open_store()
    run(store, docker_archive(ONE, THREE, tags=("other:latest",)))
    code = KILLED.partition("trace.install")[0] + (
        "records = load(store, open(archive, 'rb'))\n"
        "next(records)\n"  # it holds layer ONE, which is there, and says that it begins with TWO
        "print('half', flush=True); sys.stdin.readline()\n"
        "list(records)\n"
    )
    archive = root / "archive.tar"
    archive.write_bytes(docker_archive(ONE, TWO))
    with subprocess.Popen(
        [sys.executable, "-c", code, root, store.driver.name, "load", "0", archive],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as neighbour:
        assert neighbour.stdout is not None
        assert neighbour.stdout.readline() == b"half\n"
        store.sweep()
        store.delete(store.get("other").id)
        neighbour.communicate(b"go\n", timeout=30)
        assert neighbour.returncode == 0
    assert tree(store, "made") == {"one": b"1", "two": b"22"}


def test_many_at_once(open_store: Opener, root: Path) -> None:
    """Threads load, tag and delete images that share layers; in the end nothing is left over and nothing is missing."""
    errors: list[BaseException] = []

    def work(number: int) -> None:
        store = open_store()
        try:
            for _ in range(8):
                run(store, docker_archive(ONE, files({"mine": b"%d" % number}), tags=(f"t{number}:latest",)))
                assert tree(store, f"t{number}")["one"] == b"1"
                store.delete(store.get(f"t{number}").id)
        except BaseException as e:  # noqa: BLE001
            errors.append(e)
        finally:
            store.links.close()

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    left = state(root)
    assert left["content/sha256"] == left["layers"] == []
    assert not [x for n in ("overlay", "vfs") if n in left for x in left[n]]


def test_an_injected_fault_loses_no_descriptor(tmp_path: Path) -> None:
    """The fault comes in the place of the result: whoever raises it must close what the call opened."""
    before = len(os.listdir("/proc/self/fd"))
    trace.install(trace.Tracer("engine", trace.FaultPlan("engine", 1)))
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(trace.InjectedFault):
            openat2(fd, ".", os.O_RDONLY)
    finally:
        trace.install(None)
        os.close(fd)
    assert len(os.listdir("/proc/self/fd")) == before
