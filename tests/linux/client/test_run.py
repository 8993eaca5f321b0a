"""containers.run with real containers: what it returns, raises and leaves, in docker-py's way."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from minidock import DockerClient, errors
from minidock.types import LogConfig, Mount, Ulimit

BOTH = "echo out; echo err >&2"


@pytest.fixture(params=[False, True], ids=["kept", "removed"])
def remove(request: pytest.FixtureRequest) -> bool:
    """The two ways through run: by the log, and by the output caught."""
    return bool(request.param)


def run(client: DockerClient, command: Any, **kwargs: Any) -> Any:
    return client.containers.run("busybox", command, network_mode="none", **kwargs)


def test_output_is_bytes_of_the_streams_asked_for(client: DockerClient, remove: bool) -> None:
    command = ["sh", "-c", BOTH]
    assert run(client, command, remove=remove) == b"out\n"
    assert run(client, command, remove=remove, stdout=False, stderr=True) == b"err\n"
    both = run(client, command, remove=remove, stderr=True)
    assert sorted(both.splitlines()) == [b"err", b"out"]
    assert len(client.containers.list(all=True)) == (0 if remove else 3)


def test_stream_gives_pieces_of_the_same(client: DockerClient, remove: bool) -> None:
    pieces = run(client, ["sh", "-c", "for i in 1 2 3; do echo $i; done"], remove=remove, stream=True)
    assert not isinstance(pieces, bytes)
    assert b"".join(pieces) == b"1\n2\n3\n"


def test_a_string_is_split_as_a_shell_would(client: DockerClient, remove: bool) -> None:
    assert run(client, "echo 'a  b' c", remove=remove) == b"a  b c\n"


def test_a_failed_command_is_a_container_error(client: DockerClient, remove: bool) -> None:
    with pytest.raises(errors.ContainerError) as failed:
        run(client, ["sh", "-c", f"{BOTH}; exit 3"], remove=remove)
    error = failed.value
    assert (error.exit_status, error.image, error.stderr) == (3, "busybox", b"err\n")
    assert str(error).startswith("Command '['sh', '-c',") and "returned non-zero exit status 3: b'err\\n'" in str(error)
    assert len(error.container.id) == 64
    assert [c.id for c in client.containers.list(all=True)] == ([] if remove else [error.container.id])


def test_a_signal_s_exit_status(client: DockerClient, remove: bool) -> None:
    with pytest.raises(errors.ContainerError) as failed:
        run(client, ["sh", "-c", "kill -9 $$"], remove=remove, init=True)
    assert failed.value.exit_status == 137


def test_a_missing_command_says_so_and_leaves_docker_s_state(client: DockerClient, remove: bool) -> None:
    with pytest.raises(errors.CommandNotFound):
        run(client, "no-such-command", remove=remove)
    left = client.containers.list(all=True)
    assert [c.status for c in left] == ([] if remove else ["created"])


def test_auto_remove_in_the_foreground(client: DockerClient) -> None:
    assert run(client, "echo hi", auto_remove=True) == b"hi\n"
    with pytest.raises(errors.ContainerError) as failed:
        run(client, ["sh", "-c", BOTH + "; false"], auto_remove=True)
    assert failed.value.stderr is None
    assert client.containers.list(all=True) == []


def test_without_a_readable_log_there_is_no_output(client: DockerClient, remove: bool) -> None:
    assert run(client, "echo hi", remove=remove, log_config=LogConfig(type="none")) is None


def test_detach_gives_the_running_container(client: DockerClient) -> None:
    container = run(client, "sleep 100", detach=True, name="sleeper", labels={"a": "b"})
    assert (container.name, container.labels, container.attrs["Config"]["Cmd"]) == ("sleeper", {"a": "b"}, ["sleep", "100"])
    container.reload()
    assert container.status == "running"
    assert client.containers.list() == [container]
    container.kill()
    assert container.wait()["StatusCode"] == 137


def test_detach_and_remove(client: DockerClient) -> None:
    container = run(client, "sleep 100", detach=True, remove=True)
    waiter = threading.Thread(target=lambda: container.wait(condition="removed"))
    waiter.start()
    container.kill()
    waiter.join(20)
    assert not waiter.is_alive()
    with pytest.raises(errors.NotFound, match=f"No such container: {container.id}"):
        container.reload()


def test_an_image_object_will_do(client: DockerClient, remove: bool) -> None:
    image = client.images.get("busybox")
    assert client.containers.run(image, "echo x", network_mode="none", remove=remove) == b"x\n"


def test_a_missing_image(client: DockerClient, remove: bool) -> None:
    with pytest.raises(errors.ImageNotFound, match="No such image: nothing:latest"):
        client.containers.run("nothing", "true", remove=remove)


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        ({"nonsense": 1}, TypeError, r"run\(\) got an unexpected keyword argument 'nonsense'"),
        ({"network": "bridge"}, RuntimeError, 'The options "network" and "network_mode" can not be used together.'),
        ({"networking_config": {"a": {}}}, RuntimeError, 'The option "networking_config" can not be used without "network".'),
        ({"mem_limit": "12x"}, errors.InvalidArgument, "The specified value for memory"),
        ({"name": "?"}, errors.InvalidParameter, "Invalid container name"),
        ({"platform": "windows/amd64"}, errors.NotSupported, "platform windows/amd64"),
    ],
)
def test_mistakes_are_found_before_anything_is_made(
    client: DockerClient, remove: bool, wrong: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        run(client, "true", remove=remove, **wrong)
    assert client.containers.list(all=True) == []


@pytest.mark.parametrize(
    ("options", "command", "expected"),
    [
        ({"environment": {"A": "1", "B": "x y"}}, "echo $A-$B", "1-x y"),
        ({"environment": ["A=1"]}, "echo $A", "1"),
        ({"working_dir": "/tmp"}, "pwd", "/tmp"),
        ({"user": "65534:65534"}, "id -u; id -g", "65534\n65534"),
        ({"user": 33}, "id -un", "www-data"),
        ({"group_add": ["6"]}, "id -G", "0 6 10"),
        ({"hostname": "box", "domainname": "x.org"}, "hostname", "box"),
        ({"tmpfs": {"/scratch": "size=1m"}}, "grep -c ' /scratch tmpfs' /proc/mounts", "1"),
        ({"mounts": [Mount("/t", None, type="tmpfs", tmpfs_size="1m")]}, "df -k /t | tail -1 | awk '{print $2}'", "1024"),
        ({"read_only": True}, "touch /x 2>&1 | grep -c 'Read-only'", "1"),
        ({"ulimits": [Ulimit(name="nofile", soft=64, hard=64)]}, "ulimit -n", "64"),
        ({"shm_size": "16m"}, "df -k /dev/shm | tail -1 | awk '{print $2}'", "16384"),
        ({"sysctls": {"kernel.msgmax": 65536}}, "cat /proc/sys/kernel/msgmax", "65536"),
        ({"cap_drop": ["ALL"]}, "grep CapEff /proc/self/status | cut -f2", "0000000000000000"),
        ({"init": True}, "cat /proc/1/comm | grep -c sh", "0"),
        ({"entrypoint": ["echo", "entry"]}, None, "entry sh -c"),
        ({"extra_hosts": {"db": "10.9.8.7"}}, "grep db /etc/hosts | cut -f1", "10.9.8.7"),
    ],
    ids=lambda v: ",".join(v) if isinstance(v, dict) else "",
)  # fmt: skip
def test_options_arrive(client: DockerClient, options: dict[str, Any], command: str | None, expected: str) -> None:
    """Each option of `run` makes the difference inside that it makes with docker."""
    if command is None:
        assert run(client, ["sh", "-c"], remove=True, **options) == f"{expected}\n".encode()
        return
    shell = ["sh", "-c", f"{command}; true"]
    assert run(client, shell, remove=True, **options).decode().strip() == expected
    without = client.containers.run("busybox", shell, network_mode="none", remove=True).decode().strip()
    assert without != expected  # the option made the difference


@pytest.mark.parametrize("form", ["dict", "list", "mount"])
def test_a_bind_in_each_form(client: DockerClient, tmp_path: Path, form: str) -> None:
    source = tmp_path / "shared"
    source.mkdir()
    (source / "in").write_text("from the host")
    option: dict[str, Any] = {
        "dict": {"volumes": {str(source): {"bind": "/shared", "mode": "ro"}}},
        "list": {"volumes": [f"{source}:/shared:ro"]},
        "mount": {"mounts": [Mount("/shared", str(source), type="bind", read_only=True)]},
    }[form]
    script = "cat /shared/in; touch /shared/x 2>/dev/null || echo ' ro'"
    assert run(client, ["sh", "-c", script], remove=True, **option) == b"from the host ro\n"
    assert client.api.engine.paths.volumes.exists() and not list(client.api.engine.paths.volumes.iterdir())


def test_a_terminal(client: DockerClient, remove: bool) -> None:
    """With ``tty=True`` the program finds a terminal, and its output is one stream."""
    assert run(client, ["sh", "-c", "test -t 1 && echo tty"], tty=True, remove=remove) == b"tty\r\n"


def test_large_output_is_whole(client: DockerClient, remove: bool) -> None:
    output = run(client, ["sh", "-c", "seq 1 100000"], remove=remove)
    assert output == b"".join(b"%d\n" % n for n in range(1, 100001))
