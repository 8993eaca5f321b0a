"""The other calls of the client on real containers: the life of one, its logs, exec, attach, lists."""

from __future__ import annotations

import hashlib
import io
import json
import socket
import tarfile
import threading
import time
from datetime import datetime
from typing import Any

import pytest
from docker.utils import socket as docker_socket

from minidock import DockerClient, errors
from minidock.client.models.containers import Container
from minidock.client.streams import CancellableStream


def detached(client: DockerClient, command: Any = "sleep 1000", **kwargs: Any) -> Container:
    container = client.containers.run("busybox", command, network_mode="none", detach=True, **kwargs)
    assert isinstance(container, Container)
    return container


def status(container: Container) -> str:
    container.reload()
    return container.status


def test_a_container_s_life(client: DockerClient) -> None:
    container = client.containers.create("busybox", "sleep 1000", network_mode="none", name="c1", stop_signal="SIGKILL")
    assert (container.status, container.name, len(container.id), container.short_id) == (
        "created", "c1", 64, container.id[:12])  # fmt: skip
    assert container.image == client.images.get("busybox")
    container.start()
    container.start()  # docker-py says nothing to a 304
    assert status(container) == "running"
    container.pause()
    assert status(container) == "paused"
    container.unpause()
    container.rename("c2")
    assert status(container) == "running" and container.name == "c2"
    first = container.attrs["State"]["Pid"]
    container.restart(timeout=1)
    assert status(container) == "running" and container.attrs["State"]["Pid"] != first
    with pytest.raises(errors.Conflict):
        container.remove()
    container.stop(timeout=1)
    container.stop()
    assert status(container) == "exited" and container.wait()["StatusCode"] == 137
    with pytest.raises(errors.Conflict):
        container.kill()
    container.remove()
    with pytest.raises(errors.ContainerNotFound):
        container.reload()


def test_kill_by_name_and_number(client: DockerClient) -> None:
    for signal in ("SIGTERM", "TERM", 15):
        container = detached(client, ["sh", "-c", "trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done"])
        next(container.logs(stream=True))
        container.kill(signal)
        assert container.wait(timeout=20)["StatusCode"] == 7


def test_wait_times_out(client: DockerClient) -> None:
    with pytest.raises(TimeoutError):
        detached(client).wait(timeout=0.05)


def test_the_list_and_its_filters(client: DockerClient) -> None:
    one, two = detached(client, name="one", labels={"role": "a"}), client.containers.create("busybox", "true", name="two")
    assert client.containers.list() == [one]
    assert client.containers.list(all=True) == [two, one]
    assert client.containers.list(all=True, limit=1) == [two]
    assert client.containers.list(filters={"status": "created"}) == [two]
    assert client.containers.list(filters={"label": "role=a"}) == client.containers.list(filters={"label": ["role"]}) == [one]
    assert client.containers.list(all=True, filters={"name": "tw"}) == [two]
    assert client.containers.list(all=True, since="one") == [two]
    assert client.containers.list(all=True, before="two") == [one]
    (sparse,) = client.containers.list(sparse=True)
    assert sparse.status == "running" and sparse.attrs["Names"] == ["/one"]
    with pytest.raises(errors.MinidockError, match="sparse objects"):
        _ = sparse.labels
    api = client.api
    assert api.containers(quiet=True) == [{"Id": one.id}]
    assert [c["Id"] for c in api.containers(trunc=True, all=True)] == [two.id[:12], one.id[:12]]
    assert [c["Id"] for c in api.containers(latest=True, all=True)] == [two.id]
    with pytest.raises(errors.InvalidParameter):
        client.containers.list(filters={"nonsense": "1"})


def test_logs(client: DockerClient) -> None:
    """docker-py's `logs` in all its forms: whole, by stream, the tail, followed until the end."""
    container = detached(client, ["sh", "-c", "echo 1; echo 2 >&2; sleep 0.3; echo 3"])
    followed = container.logs(stream=True)
    assert isinstance(followed, CancellableStream)
    assert sorted(followed) == [b"1\n", b"2\n", b"3\n"]
    assert sorted(container.logs().split()) == [b"1", b"2", b"3"]
    assert container.logs(stderr=False) == b"1\n3\n"
    assert container.logs(tail=1) == b"3\n"
    assert sorted(container.logs(tail="nonsense").split()) == [b"1", b"2", b"3"]
    first = container.logs(timestamps=True, stderr=False).split()[0].decode()
    assert first.endswith("Z") and datetime.fromisoformat(first[:19]).year >= 2024
    assert container.logs(since=time.time() + 100) == b""
    assert container.logs(until=datetime.now()).count(b"\n") == 3
    for wrong in ("yesterday", -1):
        with pytest.raises(errors.InvalidArgument, match="since value should be datetime or positive int/float"):
            container.logs(since=wrong)
    with pytest.raises(errors.ContainerNotFound):
        client.api.logs("nothing", stream=True)  # told now, not when the stream is read


def test_closing_a_followed_log_wakes_its_reader(client: DockerClient) -> None:
    stream = detached(client, ["sh", "-c", "echo 1; sleep 1000"]).logs(stream=True)
    got: list[bytes] = []
    seen = threading.Event()

    def read() -> None:
        for piece in stream:
            got.append(piece)
            seen.set()

    reader = threading.Thread(target=read)
    reader.start()
    assert seen.wait(20)
    stream.close()
    reader.join(20)
    assert not reader.is_alive() and got == [b"1\n"]


def test_exec_run(client: DockerClient) -> None:
    """docker-py's `exec_run`: exit code, output, and the two streams apart."""
    container = detached(client, environment={"A": "outer"})
    assert container.exec_run("echo 'a  b'") == (0, b"a  b\n")
    both = ["sh", "-c", "echo out; echo err >&2; exit 3"]
    result = container.exec_run(both, demux=True)
    assert (result.exit_code, result.output) == (3, (b"out\n", b"err\n"))
    assert container.exec_run(both, stderr=False).output == b"out\n"
    assert container.exec_run("true", demux=True).output == (None, None)
    assert b"".join(container.exec_run("seq 3", stream=True).output) == b"1\n2\n3\n"
    assert list(container.exec_run("echo x", stream=True, demux=True).output) == [(b"x\n", None)]
    assert container.exec_run(["sh", "-c", "echo $A $B; pwd; id -u"], environment={"B": "2"}, workdir="/tmp", user="33") == (
        0, b"outer 2\n/tmp\n33\n")  # fmt: skip
    assert container.exec_run("tty", tty=True).output.startswith(b"/dev/pts/")
    detachedly = container.exec_run("sleep 1000", detach=True)
    assert detachedly == (None, "")
    with pytest.raises(errors.MinidockError):
        container.exec_run("no-such-command")


def test_exec_over_a_socket(client: DockerClient) -> None:
    container = detached(client)
    result = container.exec_run("cat", stdin=True, socket=True)
    assert result.exit_code is None
    result.output._sock.sendall(b"typed\n")
    result.output._sock.shutdown(socket.SHUT_WR)
    assert docker_socket.consume_socket_output(d for _, d in docker_socket.frames_iter(result.output, False)) == b"typed\n"
    result.output.close()


def test_the_low_level_exec(client: DockerClient) -> None:
    api, container = client.api, detached(client)
    made = api.exec_create(container.id, "sleep 1000", tty=True)
    assert api.exec_inspect(made)["Running"] is False
    stream = api.exec_start(made, tty=True, stream=True)
    api.exec_resize(made, height=33, width=99)
    told = api.exec_inspect(made["Id"])
    assert told["Running"] and told["ExitCode"] is None and told["ContainerID"] == container.id
    stream.close()
    with pytest.raises(errors.ExecNotFound):
        api.exec_inspect("0" * 64)
    with pytest.raises(errors.NullResource):
        api.exec_start(None)


def test_attach_from_the_first_byte(client: DockerClient) -> None:
    container = client.containers.create("busybox", ["sh", "-c", "echo out; echo err >&2"], network_mode="none")
    stream = container.attach(stream=True, demux=True)
    container.start()
    assert sorted(stream, key=str) == [(None, b"err\n"), (b"out\n", None)]
    container.wait()
    assert container.attach(logs=True, stderr=False) == b"out\n"
    assert container.attach(logs=True, demux=True) == (b"out\n", b"err\n")
    assert container.attach() == b""


def test_attach_socket_talks_to_stdin(client: DockerClient) -> None:
    container = client.containers.create("busybox", "cat", network_mode="none", stdin_open=True)
    raw = container.attach_socket(params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
    container.start()
    raw._sock.sendall(b"hello\n")  # type: ignore[attr-defined]
    assert docker_socket.next_frame_header(raw) == (1, 6)
    assert docker_socket.read_exactly(raw, 6) == b"hello\n"
    raw._sock.shutdown(socket.SHUT_WR)  # type: ignore[attr-defined]
    assert container.wait(timeout=20)["StatusCode"] == 0
    raw.close()


def test_top_and_resize_and_port(client: DockerClient) -> None:
    container = detached(client, tty=True)
    told = container.top()
    assert "PID" in told["Titles"] and told["Processes"][0][-1] == "sleep 1000"
    assert container.top(ps_args="-o pid,comm")["Titles"] == ["PID", "COMMAND"]
    container.resize(24, 100)
    assert container.exec_run("stty -F /proc/1/fd/1 size").output == b"24 100\n"
    assert client.api.port(container.id, 80) is None


@pytest.mark.parametrize("chunk_size", [None, 1000])
def test_export(client: DockerClient, chunk_size: int | None) -> None:
    """A container's files come as a tar, in pieces no larger than asked for."""
    container = client.containers.create("busybox", ["sh", "-c", "echo hi > /made"], network_mode="none")
    container.start()
    container.wait()
    chunks = list(container.export(chunk_size) if chunk_size else container.export())
    assert chunk_size is None or max(map(len, chunks)) <= chunk_size
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
        made = tar.extractfile("made")
        assert made is not None and made.read() == b"hi\n"
        assert "bin/busybox" in tar.getnames()


def test_an_exported_container_becomes_an_image_again(client: DockerClient) -> None:
    container = client.containers.create("busybox", "true", network_mode="none")
    data = b"".join(container.export())
    client.api.import_image_from_data(data, repository="again", tag="v1", changes=["CMD echo again"])
    assert client.containers.run("again:v1", network_mode="none", remove=True) == b"again\n"
    assert client.images.get("again:v1").tags == ["again:v1"]


def test_images(client: DockerClient) -> None:
    """docker-py's image objects: a program written for docker finds ids, tags and labels here."""
    image = client.images.get("busybox")
    assert image.short_id == image.id[:19] and image.labels == {} and repr(image) == "<Image: 'busybox:latest'>"
    assert image.tag("other", "x") is True
    image.reload()
    assert image.tags == ["busybox:latest", "other:x"]
    assert client.images.list() == client.images.list(name="other") == [image]
    assert client.images.list(filters={"dangling": True}) == []
    assert client.api.images(quiet=True) == [image.id]
    assert image.history()[0]["Id"] == image.id
    client.images.remove("other:x")
    image.remove()
    with pytest.raises(errors.ImageNotFound):
        client.images.get("busybox")


def archive(*, config: bytes, layer: bytes, tags: list[str]) -> bytes:
    """What ``docker save`` of 1.10 and later writes, for one image of one layer."""
    manifest = [{"Config": "c.json", "RepoTags": tags, "Layers": ["l/layer.tar"]}]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in (("manifest.json", json.dumps(manifest).encode()), ("c.json", config), ("l/layer.tar", layer)):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


@pytest.mark.parametrize(
    "form", [bytes, io.BytesIO, lambda data: iter([data[:99], data[99:]])], ids=["bytes", "file", "chunks"]
)
def test_load(client: DockerClient, busybox_tar: bytes, form: Any) -> None:
    """An archive is loaded from bytes, a file or chunks, gets the ids that docker gives, and runs."""
    diff_id = f"sha256:{hashlib.sha256(busybox_tar).hexdigest()}"
    config = {"architecture": "amd64", "os": "linux", "config": {"Cmd": ["echo", "loaded"], "Env": ["PATH=/bin"]}}
    text = json.dumps({**config, "rootfs": {"type": "layers", "diff_ids": [diff_id]}}).encode()
    (image,) = client.images.load(form(archive(config=text, layer=busybox_tar, tags=["loaded:v1"])))
    assert (image.tags, image.id) == (["loaded:v1"], f"sha256:{hashlib.sha256(text).hexdigest()}")
    assert client.containers.run("loaded:v1", network_mode="none", remove=True) == b"loaded\n"
    (nameless,) = client.images.load(archive(config=text + b" ", layer=busybox_tar, tags=[]))
    assert nameless.tags == [] and nameless.id != image.id
    quiet = list(client.api.load_image(archive(config=text, layer=busybox_tar, tags=["loaded:v1"]), quiet=True))
    assert quiet == [{"stream": "Loaded image: loaded:v1\n"}]


def test_what_cannot_be_loaded(client: DockerClient, busybox_tar: bytes) -> None:
    lies = json.dumps({"rootfs": {"type": "layers", "diff_ids": ["sha256:" + "0" * 64]}}).encode()
    for data in (b"no archive", busybox_tar, archive(config=b"{", layer=b"", tags=[]),
                 archive(config=lies, layer=busybox_tar, tags=["x:1"])):  # fmt: skip
        with pytest.raises(errors.ImageLoadError):
            client.images.load(data)
    assert [image.tags for image in client.images.list()] == [["busybox:latest"]]


def test_prune_and_df(client: DockerClient) -> None:
    kept, gone = detached(client), client.containers.create("busybox", "true")
    assert client.df()["Containers"][0]["Id"] == gone.id
    assert client.containers.prune()["ContainersDeleted"] == [gone.id]
    assert client.containers.list(all=True) == [kept]
    assert client.images.prune() == {"ImagesDeleted": None, "SpaceReclaimed": 0}


def test_the_client_itself(client: DockerClient) -> None:
    assert client.ping() is True
    assert client.info()["Images"] == 1
    assert client.version()["ApiVersion"] == client.api.api_version == client.api._version == "1.41"
    assert {n.name for n in client.networks.list()} == {"bridge", "host", "none"}
    assert client.networks.get("none").containers == []
    assert client.volumes.list() == []
    with pytest.raises(errors.VolumeNotFound, match="get x: no such volume"):
        client.volumes.get("x")
    with client.trace() as steps:
        client.containers.run("busybox", "true", network_mode="none", remove=True)
    assert {"engine", "init"} <= {step.process for step in steps}
    with pytest.raises(TypeError, match="not callable"):
        client.containers()


def test_a_network_knows_who_is_in_it(client: DockerClient) -> None:
    container = detached(client)
    network = client.networks.get("none")
    assert network.containers == [container]
    with pytest.raises(errors.NotSupported, match=r"^connect: networks cannot be made or changed yet"):
        network.connect(container)


def test_a_volume_that_a_container_brought(client: DockerClient) -> None:
    container = client.containers.create("busybox", "true", network_mode="none", volumes={"data": {"bind": "/data"}})
    (volume,) = client.volumes.list()
    assert volume.name == volume.id == "data"
    assert client.volumes.list(filters={"dangling": True}) == []
    container.remove(v=True)
    assert client.volumes.list(filters={"dangling": True}) == [volume]
