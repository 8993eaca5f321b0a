"""Users' mistakes, in docker's words."""

from __future__ import annotations

from typing import Any

import pytest

from minidock.daemon.containers import filters
from minidock.daemon.request import security_opt, validate
from minidock.errors import InvalidParameter, NotSupported


@pytest.mark.parametrize(
    ("config", "host", "words"),
    [
        ({"Cmd": None}, {}, "No command specified"),
        ({"Env": ["=x"]}, {}, "invalid environment variable: =x"),
        ({"WorkingDir": "x"}, {}, "the working directory 'x' is invalid, it needs to be an absolute path"),
        ({"StopSignal": "x"}, {}, "Invalid signal: x"),
        ({"Hostname": "a b"}, {}, "invalid hostname format: a b"),
        ({}, {"RestartPolicy": {"Name": "x"}}, "invalid restart policy 'x'"),
        ({}, {"RestartPolicy": {"Name": "always", "MaximumRetryCount": 2}},
         "maximum retry count cannot be used with restart policy 'always'"),
        ({}, {"RestartPolicy": {"Name": "always"}, "AutoRemove": True},
         "can't create 'AutoRemove' container with restart policy"),
        ({}, {"IpcMode": "x"}, "Invalid IPC mode: x"),
        ({}, {"PidMode": "container:"}, "invalid PID mode: container:"),
        ({}, {"UTSMode": "x"}, "invalid UTS mode: x"),
        ({}, {"CgroupnsMode": "x"}, "invalid cgroup namespace mode: x"),
        ({"Hostname": "h"}, {"UTSMode": "host"}, "conflicting options: hostname and the UTS mode"),
        ({"Hostname": "h"}, {"NetworkMode": "container:x"}, "conflicting options: hostname and the network mode"),
        ({}, {"NetworkMode": "container:x", "Dns": ["1.1.1.1"]}, "conflicting options: dns and the network mode"),
        ({"MacAddress": "02:00:00:00:00:01"}, {"NetworkMode": "host"}, "conflicting options: mac-address and the network mode"),
        ({}, {"Dns": ["x"]}, "x is not an ip address"),
        ({}, {"ExtraHosts": ["x"]}, 'bad format for add-host: "x"'),
        ({}, {"ExtraHosts": ["x:y"]}, 'invalid IP address in add-host: "y"'),
        ({}, {"ExtraHosts": ["x\ny:1.2.3.4"]}, "invalid ExtraHosts: 'x\\ny:1.2.3.4' has more than one line"),
        ({}, {"DnsSearch": ["a\nnameserver 1.2.3.4"]}, "invalid DnsSearch: 'a\\nnameserver 1.2.3.4' has more than one line"),
        ({}, {"Devices": [{"PathOnHost": "/dev/nope"}]},
         'error gathering device information while adding custom device "/dev/nope": no such file or directory'),
        ({}, {"Devices": [{"PathOnHost": "/etc/passwd"}]},
         'error gathering device information while adding custom device "/etc/passwd": not a device node'),
        ({}, {"ShmSize": -1}, "SHM size can not be less than 0"),
        ({}, {"OomScoreAdj": 1001}, "Invalid value 1001, range for oom score adj is [-1000, 1000]"),
        ({}, {"Memory": 1024}, "Minimum memory limit allowed is 6MB"),
        ({}, {"Ulimits": [{"Name": "x", "Soft": 1, "Hard": 1}]}, "invalid ulimit type: x"),
        ({}, {"Ulimits": [{"Name": "nofile", "Soft": 2, "Hard": 1}]},
         "ulimit soft limit must be less than or equal to hard limit: 2 > 1"),
        ({}, {"Sysctls": {"kernel.panic": "1"}}, "sysctl 'kernel.panic' is not allowed"),
        ({}, {"Sysctls": {"net.ipv4.ip_forward": "1"}, "NetworkMode": "host"},
         'sysctl "net.ipv4.ip_forward" not allowed in host network namespace'),
        ({}, {"LogConfig": {"Type": "syslog"}}, 'error looking up logging plugin syslog: plugin "syslog" not found'),
        ({}, {"LogConfig": {"Type": "json-file", "Config": {"x": "1"}}}, "unknown log opt 'x' for json-file log driver"),
        ({}, {"LogConfig": {"Type": "json-file", "Config": {"max-file": "0"}}}, "max-file cannot be less than 1"),
        ({}, {"SecurityOpt": ["x"]}, 'invalid --security-opt 1: "x"'),
        ({}, {"SecurityOpt": ["x=y"]}, 'invalid --security-opt 2: "x=y"'),
        ({}, {"Mounts": [{"Type": "bind", "Source": "/no/such", "Target": "/x"}]},
         'invalid mount config for type "bind": bind source path does not exist: /no/such'),
    ],
)  # fmt: skip
def test_mistakes(config: dict[str, Any], host: dict[str, Any], words: str) -> None:
    """A request that cannot be is refused in docker's words, before anything is made."""
    with pytest.raises(InvalidParameter) as caught:
        validate.validate({"Cmd": ["true"], **config}, host, remapped=False)
    assert caught.value.explanation == words


def test_what_is_right_passes() -> None:
    host = {
        "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3},
        "NetworkMode": "bridge",
        "ExtraHosts": ["a:1.2.3.4"],
        "Devices": [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/x", "CgroupPermissions": "rw"}],
        "Ulimits": [{"Name": "nofile", "Soft": 1, "Hard": -1}],
        "Sysctls": {"net.ipv4.ip_forward": "1", "kernel.shmmax": "1"},
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}},
        "SecurityOpt": ["no-new-privileges", "seccomp=unconfined", "apparmor=x"],
        "Binds": ["/nowhere/yet:/x"],
    }
    assert validate.validate({"Cmd": ["true"], "Env": ["A=1"], "Hostname": "h"}, host, remapped=False).warnings == ()


def test_user_namespaces_exclude_what_they_cannot_have() -> None:
    for host in ({"Privileged": True}, {"NetworkMode": "host"}, {"PidMode": "host"}):
        validate.validate({"Cmd": ["true"]}, host, remapped=False)
        validate.validate({"Cmd": ["true"]}, {**host, "UsernsMode": "host"}, remapped=True)
        with pytest.raises(InvalidParameter, match="user namespaces"):
            validate.validate({"Cmd": ["true"]}, host, remapped=True)


def test_what_is_not_there_is_refused_not_ignored() -> None:
    for host in ({"Links": ["a:b"]}, {"PortBindings": {"80/tcp": [{"HostPort": "80"}]}}, {"VolumesFrom": ["x"]}):
        with pytest.raises(NotSupported):
            validate.validate({"Cmd": ["true"]}, host, remapped=False)


@pytest.mark.parametrize(("text", "size"), [("10", 10), ("1k", 1024), ("1.5KB", 1536), ("2GiB", 2 << 30), ("-1", 0)])
def test_sizes(text: str, size: int) -> None:
    """Sizes in requests, and what is none."""
    assert validate.parse_size(text) == size
    assert validate.parse_size("x") is None


def test_security_options() -> None:
    """SecurityOpt in both spellings (= and :)."""
    options = security_opt.parse(["no-new-privileges:true", "seccomp:unconfined", "apparmor=p", "systempaths=unconfined"])
    assert options == security_opt.SecurityOptions(True, "unconfined", "p", True)


def test_filters_that_nobody_knows() -> None:
    assert filters.parse('{"status": {"running": true}}') == {"status": ["running"]}
    assert filters.parse({"label": "a=b", "exited": 0}) == {"label": ["a=b"], "exited": ["0"]}
    for bad, words in (({"x": "y"}, "Invalid filter 'x'"), ({"status": "y"}, "Invalid filter 'status=y'")):
        with pytest.raises(InvalidParameter) as caught:
            filters.parse(bad)
        assert caught.value.explanation == words


@pytest.mark.parametrize(
    ("option", "on"),
    [
        *(("no-new-privileges", True), ("no-new-privileges=true", True), ("no-new-privileges:1", True)),
        *(("no-new-privileges=false", False), ("no-new-privileges=0", False), ("no-new-privileges:F", False)),
    ],
)
def test_no_new_privileges_on_and_off(option: str, on: bool) -> None:
    assert security_opt.parse([option]).no_new_privileges is on


def test_a_host_name_has_room_for_64_bytes() -> None:
    """HOST_NAME_MAX of Linux (gethostname(2))."""
    validate.process({"Cmd": ["true"], "Hostname": "h" * 64})
    with pytest.raises(InvalidParameter, match="invalid hostname format"):
        validate.process({"Cmd": ["true"], "Hostname": "h" * 65})
