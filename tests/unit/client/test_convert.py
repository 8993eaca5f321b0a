"""docker-py's keyword forms become the same JSON as in docker-py itself, which is installed and is the oracle."""

import json
from typing import Any

import docker.errors
import docker.types
import docker.utils
import pytest
from docker.models.containers import _create_container_args
from hypothesis import given
from hypothesis import strategies as st

from minidock import types
from minidock.client import convert
from minidock.client.models.run import create_arguments
from minidock.client.types import HOST_CONFIG, ContainerConfig
from minidock.errors import InvalidArgument

VERSION = "1.41"
# Ours raises InvalidArgument where docker-py raises a DockerException; the built-in exceptions are the same.
SAME_ERROR = {docker.errors.DockerException: InvalidArgument, docker.errors.InvalidArgument: InvalidArgument,
              docker.errors.InvalidVersion: InvalidArgument}  # fmt: skip


def outcome(make: Any) -> Any:
    """What `make` gives as JSON, or the type of what it raises."""
    try:
        return json.loads(json.dumps(make()))
    except (
        TypeError,
        ValueError,
        OverflowError,
        KeyError,
        AttributeError,
        docker.errors.DockerException,
        InvalidArgument,
    ) as error:
        kind = type(error)
        return SAME_ERROR.get(kind, kind)


def same(ours: Any, theirs: Any) -> None:
    assert outcome(ours) == outcome(theirs)


HOST_CASES: list[dict[str, Any]] = [
    {},
    *({"mem_limit": v} for v in ("128m", "1g", "2GB", "7kb", "100", "10b", "1.5g", 0, 5, 1.5, "", "12x", "xm")),
    {"memswap_limit": -1, "mem_reservation": "64m", "kernel_memory": "1g", "mem_swappiness": 0},
    {"mem_swappiness": "1"},
    {"shm_size": "64m"}, {"shm_size": 0}, {"shm_size": 1 << 20},
    {"pid_mode": "host", "ipc_mode": "container:x", "uts_mode": "host", "userns_mode": "host", "cgroupns": "private"},
    {"uts_mode": "x"}, {"userns_mode": "keep-id"},
    {"privileged": True, "read_only": False, "oom_kill_disable": True, "oom_score_adj": 500, "publish_all_ports": True},
    {"oom_score_adj": "1"},
    {"network_mode": "none"}, {"network_mode": ""},
    {"network_mode": "host", "port_bindings": {80: 80}}, {"network_mode": "host", "port_bindings": {}},
    {"restart_policy": {"Name": "on-failure", "MaximumRetryCount": 5}}, {"restart_policy": "always"},
    {"cap_add": ["SYS_ADMIN"], "cap_drop": ["ALL"], "security_opt": ["seccomp=unconfined"]}, {"security_opt": "x"},
    {"devices": ["/dev/fuse", "/dev/a:/dev/b", "/dev/a:/dev/b:r", {"PathOnHost": "/x"}]}, {"devices": [5]}, {"devices": []},
    {"group_add": ["audio", 5]},
    {"dns": ["8.8.8.8"], "dns_opt": ["ndots:1"], "dns_search": ["x.org"]}, {"dns": []},
    {"sysctls": {"net.core.somaxconn": 1024}}, {"sysctls": [1]},
    {"volumes_from": "a,b"}, {"volumes_from": ["a"]},
    {"binds": {"/a": {"bind": "/b", "mode": "ro"}, "/c": {"bind": "/d"}, "/e": "/f", b"/g": {"bind": b"/h", "ro": True}}},
    {"binds": {"/a": {"bind": "/b", "ro": False}}}, {"binds": {"/a": {"bind": "/b", "ro": True, "mode": "rw"}}},
    {"binds": {"/a": {"bind": "/b", "propagation": "rslave"}, "/c": {"bind": "/d", "mode": "", "propagation": "shared"}}},
    {"binds": {"/a": {"bind": "/b", "propagation": "sideways"}}}, {"binds": ["/a:/b:ro", "/v"]}, {"binds": {"/a": {}}},
    {"port_bindings": {80: 8080, "53/udp": None, 1: ("127.0.0.1", 11), 2: ("127.0.0.1",), 3: (33,), 4: [44, ("::1", 45)]}},
    {"port_bindings": {1: {"HostPort": 5, "HostIp": "10.0.0.1"}, 2: {"HostPort": 6}}}, {"port_bindings": {1: {"HostIp": "x"}}},
    {"extra_hosts": {"b": "10.0.0.2", "a": "10.0.0.1"}}, {"extra_hosts": ["a:1.2.3.4"]},
    {"links": {"db": "alias", "web": None}}, {"links": [("a", "b")]},
    {"ulimits": [{"name": "nofile", "soft": 10, "hard": 20}, {"Name": "nproc", "Soft": 1}]}, {"ulimits": {"a": 1}},
    {"ulimits": [{"name": 1}]}, {"ulimits": [{"name": "a", "soft": "x"}]},
    {"log_config": {"type": "json-file", "config": {"max-size": "1m"}}}, {"log_config": {"Type": "none"}},
    {"log_config": "none"}, {"log_config": {"type": "json-file", "config": "x"}},
    {"cpu_shares": 512, "cpu_quota": 50000, "cpu_period": 100000, "cpuset_cpus": "0,1", "cpuset_mems": "0", "nano_cpus": 10**9},
    {"cpu_shares": "512"}, {"cpu_shares": 0}, {"cpu_quota": -1}, {"cpuset_mems": 0}, {"cpuset_mems": 1}, {"cpu_count": 1},
    {"cpu_rt_period": 10, "cpu_rt_runtime": 5, "cpu_percent": 5}, {"pids_limit": 100}, {"pids_limit": -1}, {"pids_limit": "1"},
    {"blkio_weight": 300, "blkio_weight_device": [{"Path": "/dev/sda", "Weight": 500}]}, {"blkio_weight_device": "x"},
    *({f"device_{d}_{u}": [{"Path": "/dev/sda", "Rate": 5}]} for d in ("read", "write") for u in ("bps", "iops")),
    {"tmpfs": {"/run": "size=1m"}}, {"tmpfs": ["/run:size=1m", "/tmp"]}, {"tmpfs": "/run"}, {"tmpfs": [1]},
    {"init": True, "auto_remove": True, "runtime": "runc", "isolation": "default", "storage_opt": {"size": "1G"}},
    {"init_path": "/x"}, {"isolation": 1}, {"volume_driver": "local", "cgroup_parent": "/x"},
    {"device_cgroup_rules": ["c 1:3 rwm"]}, {"device_cgroup_rules": "c"},
    {"device_requests": [{"count": -1, "capabilities": [["gpu"]]}]}, {"device_requests": [{"count": "x"}]},
    {"no_such_keyword": 1},
]  # fmt: skip


@pytest.mark.parametrize("case", HOST_CASES, ids=lambda c: ",".join(c) or "nothing")
def test_host_config(case: dict[str, Any]) -> None:
    """The request that a program's options become is docker-py's, to the byte."""
    same(lambda: types.HostConfig(VERSION, **case), lambda: docker.types.HostConfig(version=VERSION, **case))


def test_every_keyword_of_host_config_was_tried() -> None:
    tried = {name for case in HOST_CASES for name in case}
    assert set(HOST_CONFIG) - tried == {"mounts"}  # tested below


VALUES = st.one_of(st.none(), st.booleans(), st.integers(-5, 1 << 40), st.sampled_from(["", "host", "128m", "x"]))


@given(st.dictionaries(st.sampled_from(sorted(set(HOST_CONFIG) | {"network_mode"})), VALUES, max_size=3))
def test_host_config_of_anything(options: dict[str, Any]) -> None:
    theirs = outcome(lambda: docker.types.HostConfig(version=VERSION, **options))
    if theirs in (TypeError, ValueError, KeyError, AttributeError):
        return  # docker-py fell over a value it does not check; what ours does then is its own affair
    ours = outcome(lambda: types.HostConfig(VERSION, **options))
    if isinstance(theirs, type) and isinstance(ours, type):
        return  # of two mistakes either may be told first; one mistake alone is in HOST_CASES
    assert ours == theirs


@given(st.from_regex(r"-?[0-9]{0,4}(\.[0-9]{1,2})?[ bkmgtBKMGxX]{0,3}", fullmatch=True))
def test_bytes(text: str) -> None:
    """Sizes mean what they mean to docker-py, mistakes included."""
    same(lambda: convert.parse_bytes(text), lambda: docker.utils.parse_bytes(text))


CONTAINER_CASES: list[dict[str, Any]] = [
    {},
    {"hostname": "h", "domainname": "d", "user": 0, "working_dir": "/w", "mac_address": "02:42:00:00:00:01"},
    {"detach": True}, {"stdin_open": True}, {"stdin_open": True, "detach": True}, {"tty": True},
    {"ports": [80, (53, "udp"), (1,), "90"]}, {"ports": {"80/tcp": {}}},
    {"environment": {"A": 1, "B": None, "C": "x=y", "D": b"z"}}, {"environment": ["A=1"]},
    {"volumes": "/v"}, {"volumes": ["/v", "/w"]}, {"volumes": {"/v": {}}},
    {"entrypoint": "sh -c 'a b'"}, {"entrypoint": ["x"]}, {"entrypoint": []},
    {"labels": ["a", "b"]}, {"labels": {"a": "1"}}, {"network_disabled": True}, {"stop_signal": "SIGINT", "stop_timeout": 3},
    {"healthcheck": {"test": "true", "interval": 10**9}}, {"healthcheck": {"Test": ["NONE"]}}, {"runtime": "x"},
]  # fmt: skip


@pytest.mark.parametrize("case", CONTAINER_CASES, ids=lambda c: ",".join(c) or "nothing")
@pytest.mark.parametrize("command", [None, "echo 'a b' c", ["echo", "a b"], ""])
def test_container_config(case: dict[str, Any], command: Any) -> None:
    """The config that a program's options become is docker-py's."""
    same(
        lambda: ContainerConfig(VERSION, "busybox", command, **case),
        lambda: docker.types.ContainerConfig(VERSION, "busybox", command, **case),
    )


MOUNT_CASES: list[dict[str, Any]] = [
    {"type": "bind"}, {"type": "bind", "read_only": True, "propagation": "rslave"}, {"type": "bind", "no_copy": True},
    {"type": "bind", "tmpfs_size": 5}, {"type": "bind", "subpath": "x"}, {"type": "bind", "consistency": "cached"},
    {}, {"no_copy": True, "labels": {"a": "b"}, "driver_config": {"Name": "local"}, "subpath": "x"}, {"propagation": "shared"},
    {"type": "tmpfs", "tmpfs_size": "64m", "tmpfs_mode": 0o1777}, {"type": "tmpfs", "tmpfs_mode": "x"}, {"type": "tmpfs"},
    {"type": "tmpfs", "no_copy": True}, {"type": "tmpfs", "subpath": "x"}, {"type": "npipe"}, {"type": "nothing"},
]  # fmt: skip


@pytest.mark.parametrize("case", MOUNT_CASES, ids=str)
def test_mount(case: dict[str, Any]) -> None:
    """Mount objects become what docker-py makes of them."""
    same(lambda: types.Mount("/t", "/s", **case), lambda: docker.types.Mount("/t", "/s", **case))


@pytest.mark.parametrize("text", ["/t", "/s:/t", "/s:/t:ro", "name:/t", "name:/t:rw", "a:b:c:d"])
def test_mount_string(text: str) -> None:
    """Mount strings are read as docker-py reads them."""
    same(lambda: types.Mount.parse_mount_string(text), lambda: docker.types.Mount.parse_mount_string(text))


ENDPOINT_CASES: list[dict[str, Any]] = [
    {}, {"aliases": ["a"], "links": {"x": "y"}},
    {"ipv4_address": "10.0.0.2", "ipv6_address": "::2", "mac_address": "02:42:0:0:0:1"},
    {"link_local_ips": ["169.254.1.1"]}, {"link_local_ips": []}, {"driver_opt": {"a": "b"}}, {"driver_opt": "x"},
]  # fmt: skip


@pytest.mark.parametrize("case", ENDPOINT_CASES, ids=str)
def test_endpoint_config(case: dict[str, Any]) -> None:
    """Endpoint options become what docker-py makes of them."""
    same(lambda: types.EndpointConfig(VERSION, **case), lambda: docker.types.EndpointConfig(VERSION, **case))


RUN_CASES: list[dict[str, Any]] = [
    {},
    {"detach": True, "name": "x", "environment": {"A": "1"}, "mem_limit": "64m", "network_mode": "none", "tty": True},
    {"ports": {"80/tcp": 8080, 53: None}}, {"ports": {}},
    {"volumes": {"/a": {"bind": "/b", "mode": "ro"}}},
    {"volumes": ["/a:/b:ro", "/v", "/a:/c", "/v:ro", "/a:/d:rw", "/a:/e:z"]},
    {"network": "n", "networking_config": {"n": {"Aliases": ["a"]}}},
    {"cap_add": ["ALL"], "platform": "linux", "use_config_proxy": False, "healthcheck": {"test": "true"}},
]  # fmt: skip


@pytest.mark.parametrize("case", RUN_CASES, ids=lambda c: ",".join(c) or "nothing")
def test_run_arguments(case: dict[str, Any]) -> None:
    """`containers.run` sorts its options into the request as docker-py does."""
    common = {"image": "busybox", "command": "true"}
    ours = create_arguments({**case, **common})
    theirs = _create_container_args({**case, **common, "version": VERSION})
    assert json.loads(json.dumps(ours)) == json.loads(json.dumps(theirs))


@pytest.mark.parametrize("unknown", [{"x": 1}, {"b": 1, "a": 2}, {"stop_timeout": 5}, {"binds": {}}])
def test_an_unknown_keyword_of_run_is_a_type_error_in_docker_pys_words(unknown: dict[str, Any]) -> None:
    with pytest.raises(TypeError) as theirs:
        _create_container_args({**unknown, "version": VERSION})
    with pytest.raises(TypeError) as ours:
        create_arguments(dict(unknown))
    assert str(ours.value) == str(theirs.value)


@pytest.mark.parametrize(
    "filters", [{"dangling": True}, {"label": ["a", "b=c"]}, {"exited": 0}, {"status": "running", "x": False}]
)
def test_filters(filters: dict[str, Any]) -> None:
    """Filters go out in docker-py's form."""
    assert convert.filters(filters) == json.loads(docker.utils.convert_filters(filters))


@pytest.mark.parametrize("name", ["a", "a:b", "h:5000/a", "h:5000/a:b", "a@sha256:00", "h:1/a:b@sha256:00"])
def test_repository_tag(name: str) -> None:
    """A name is split where docker-py splits it."""
    assert convert.repository_tag(name) == docker.utils.parse_repository_tag(name)


def test_the_comparison_sees_a_difference() -> None:
    """The negative control of this file."""
    with pytest.raises(AssertionError):
        same(lambda: types.HostConfig(VERSION, mem_limit="128m"), lambda: docker.types.HostConfig(VERSION, mem_limit="129m"))
