"""Wrong limits through the Python client: docker's words in the API's errors, and nothing made or changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from minidock import DockerClient, errors
from minidock.libcontainer import cgroups

MEMORY = "Minimum memory limit allowed is 6MB"
SWAP = "Minimum memoryswap limit should be larger than memory limit, see usage"
CPUS = "Range of CPUs is from 0.01 to "
PERIOD = "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)"
WEIGHT = "Range of blkio weight is from 10 to 1000"
TYPE = "json: cannot unmarshal "
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"mem_limit": 1}, MEMORY),
    ({"mem_limit": "4m"}, MEMORY),
    ({"mem_limit": -5}, MEMORY),
    ({"mem_limit": 1 << 70}, TYPE),
    ({"mem_limit": "20m", "memswap_limit": "10m"}, SWAP),
    ({"mem_limit": "20m", "memswap_limit": -2}, SWAP),
    ({"memswap_limit": "20m"}, "You should always set the Memory limit when using Memoryswap limit, see usage"),
    ({"mem_limit": "20m", "mem_reservation": "30m"}, "Minimum memory limit can not be less than memory reservation limit"),
    ({"mem_reservation": "1m"}, "Minimum memory reservation allowed is 6MB"),
    ({"mem_swappiness": 101}, "Invalid value: 101, valid memory swappiness range is 0-100"),
    ({"mem_swappiness": -7}, "Invalid value: -7, valid memory swappiness range is 0-100"),
    ({"kernel_memory": "1m"}, "Minimum kernel memory limit allowed is "),
    ({"nano_cpus": 99 * 10**9}, CPUS),
    ({"nano_cpus": -1}, CPUS),
    ({"nano_cpus": 1}, CPUS),
    ({"nano_cpus": 10**9, "cpu_quota": 5000}, "Conflicting options: Nano CPUs and CPU Quota cannot both be set"),
    ({"nano_cpus": 10**9, "cpu_period": 5000}, "Conflicting options: Nano CPUs and CPU Period cannot both be set"),
    ({"cpu_period": 999}, PERIOD),
    ({"cpu_period": 1_000_001}, PERIOD),
    ({"cpu_quota": 999}, "CPU cfs quota can not be less than 1ms (i.e. 1000)"),
    ({"cpu_shares": 1}, "the minimum allowed cpu-shares is 2"),
    ({"cpu_shares": 262145}, "the maximum allowed cpu-shares is 262144"),
    ({"cpu_shares": -1}, "shares: "),
    ({"cpuset_cpus": "99"}, "Requested CPUs are not available - requested 99, available: "),
    ({"cpuset_cpus": "1-0"}, "Invalid value 1-0 for cpuset cpus"),
    ({"cpuset_cpus": "a"}, "Invalid value a for cpuset cpus"),
    ({"cpuset_mems": "9"}, "Requested memory nodes are not available - requested 9, available: "),
    ({"blkio_weight": 5}, WEIGHT),
    ({"blkio_weight": 1001}, WEIGHT),
    ({"blkio_weight": 70000}, TYPE),
    ({"blkio_weight_device": [{"Path": "/dev/null", "Weight": 100}]}, "/dev/null"),
    ({"device_read_bps": [{"Path": "/nosuch", "Rate": 100}]}, "/nosuch"),
    ({"device_write_iops": [{"Path": "/dev/null", "Rate": 100}]}, "/dev/null"),
    ({"device_read_bps": [{"Path": "/dev/null", "Rate": -1}]}, TYPE),
    ({"device_read_bps": [5]}, TYPE),
    ({"oom_score_adj": 1001}, "Invalid value 1001, range for oom score adj is [-1000, 1000]"),
    ({"device_cgroup_rules": ["c 1:3 x"]}, "invalid device cgroup rule format: 'c 1:3 x'"),
]
UPDATABLE = [case for case in WRONG if not case[0].keys() & {"oom_score_adj", "device_cgroup_rules"}]
# An update of the swap limit alone leaves the memory limit that the container has.
UPDATABLE.remove(next(case for case in WRONG if case[0] == {"memswap_limit": "20m"}))


def remains(client: DockerClient) -> list[str]:
    """Containers, their folders and cgroups."""
    paths = client.api.engine.paths
    found = [*paths.containers.iterdir(), *(paths.root / "overlay").iterdir(), *paths.tmp.iterdir()]
    parents = set(cgroups.manager(f"/{paths.instance}").paths().values())
    groups = [group for parent in map(Path, parents) if parent.is_dir() for group in parent.iterdir() if group.is_dir()]
    return sorted(map(str, [*found, *(group for group in groups if group.name != "shims")]))


def test_create_refuses_and_makes_nothing(client: DockerClient) -> None:
    before = remains(client)
    for keywords, words in WRONG:
        for make in (client.containers.run, client.containers.create):
            with pytest.raises(errors.InvalidParameter) as caught:
                make("busybox", "true", network_mode="none", **keywords)
            assert words in str(caught.value), keywords
    assert remains(client) == before
    client.containers.create("busybox", "true", network_mode="none", mem_limit="6m", cpu_shares=2)
    assert remains(client) != before  # what would have been left is seen


def test_update_refuses_and_changes_nothing(client: DockerClient) -> None:
    container = client.containers.run("busybox", "sleep 1000", network_mode="none", detach=True, mem_limit="64m")
    group = cgroups.manager(client.api.engine.paths.cgroup(container.id))
    limits = (group.stats().memory_limit, group.stats().pids_limit, container.attrs["HostConfig"])
    for keywords, words in UPDATABLE:
        with pytest.raises(errors.APIError) as caught:
            container.update(**keywords)
        assert words in str(caught.value), keywords
        assert caught.value.status_code in (400, 409)
    container.reload()
    assert (group.stats().memory_limit, group.stats().pids_limit, container.attrs["HostConfig"]) == limits
    container.update(pids_limit=9)
    assert group.stats().pids_limit == 9
