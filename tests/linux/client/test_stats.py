"""``stats`` and ``update`` of the Python client, against the kernel's own files."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from minidock import DockerClient, errors
from minidock.client.models.containers import Container
from minidock.daemon.base.timestamps import ZERO, to_ns
from minidock.libcontainer import cgroups

BURN = ["sh", "-c", "while :; do :; done"]


def detached(client: DockerClient, command: Any = "sleep 1000", **kwargs: Any) -> Container:
    container = client.containers.run("busybox", command, detach=True, **{"network_mode": "none", **kwargs})
    assert isinstance(container, Container)
    return container


def percent(sample: dict[str, Any]) -> float:
    """CPU % as every docker-py program computes it."""
    now, before = sample["cpu_stats"], sample["precpu_stats"]
    used = now["cpu_usage"]["total_usage"] - before["cpu_usage"]["total_usage"]
    return float(used / (now["system_cpu_usage"] - before["system_cpu_usage"]) * now["online_cpus"] * 100)


def burning(container: Container) -> dict[str, Any]:
    """The first sample that shows it at work: on a busy machine a tenth of a second may pass without its turn."""
    for _ in range(50):
        sample = container.stats(stream=False)
        if percent(sample) > 10:
            return dict(sample)
    raise AssertionError("it never came to its turn")


def window(sample: dict[str, Any]) -> float:
    """Seconds from preread to read."""
    return (to_ns(sample["read"]) - to_ns(sample["preread"])) / 1e9


def test_one_sample_with_its_window(client: DockerClient) -> None:
    burner, sleeper = detached(client, BURN), detached(client)
    busy, idle = burning(burner), sleeper.stats(stream=False)
    assert percent(idle) < 10
    assert window(busy) >= 0.1 and window(idle) >= 0.1
    assert busy["name"] == f"/{burner.name}" and busy["id"] == burner.id
    assert busy["pids_stats"] == {"current": 1}
    assert "networks" not in busy


def test_the_figures_are_the_kernels(client: DockerClient) -> None:
    container = detached(client, ["sh", "-c", "sleep 1000 & exec sleep 1000"], mem_limit="64m", pids_limit=20)
    while container.stats(stream=False, one_shot=True)["pids_stats"]["current"] < 2:
        time.sleep(0.001)  # both sleeps are there: then nothing changes any more
    sample = container.stats(stream=False, one_shot=True)
    used = cgroups.manager(client.api.engine.paths.cgroup(container.id)).stats()
    assert sample["pids_stats"] == {"current": 2, "limit": 20}
    assert sample["memory_stats"]["limit"] == 64 << 20 == used.memory_limit
    assert 0 < sample["memory_stats"]["usage"] <= 64 << 20
    assert sample["cpu_stats"]["cpu_usage"]["total_usage"] <= used.cpu_total_ns
    assert sample["cpu_stats"]["online_cpus"] == used.cpus_online
    assert (sample["preread"], sample["precpu_stats"]["cpu_usage"]["total_usage"]) == (ZERO, 0)
    unlimited = detached(client).stats(stream=False, one_shot=True)
    assert unlimited["memory_stats"]["limit"] > 64 << 20 and "limit" not in unlimited["pids_stats"]


def test_a_stream_gives_a_sample_a_second_until_the_container_is_removed(client: DockerClient) -> None:
    container = detached(client, BURN)
    stream = container.stats(decode=True)
    first, second = next(stream), next(stream)
    assert (first["preread"], second["preread"]) == (ZERO, first["read"])
    assert window(second) > 0.4 and percent(second) > 0
    container.kill()
    container.wait()
    third = next(stream)  # stopped, not removed: docker goes on with zeros
    assert (third["read"], third["memory_stats"], third["cpu_stats"]["cpu_usage"]["total_usage"]) == (ZERO, {}, 0)
    container.remove()
    assert list(stream) == []


def test_a_stream_without_decode_is_lines_of_json(client: DockerClient) -> None:
    line = next(detached(client).stats())
    assert line.endswith(b"\n") and json.loads(line)["pids_stats"]["current"] == 1


def test_what_does_not_run_has_no_figures(client: DockerClient) -> None:
    container = client.containers.create("busybox", "true", network_mode="none")
    sample = container.stats(stream=False)
    assert (sample["read"], sample["memory_stats"], sample["pids_stats"]) == (ZERO, {}, {})
    container.remove()
    with pytest.raises(errors.ContainerNotFound):
        container.stats()


def test_traffic_is_counted_on_the_containers_interface(client: DockerClient) -> None:
    quiet = detached(client, network_mode="bridge")
    quiet.reload()
    gateway = quiet.attrs["NetworkSettings"]["Gateway"]
    talker = detached(client, network_mode="bridge")
    found = talker.exec_run(["ping", "-c", "3", "-W", "1", "-s", "1000", gateway])
    assert found.exit_code == 0, found.output
    said = talker.stats(stream=False, one_shot=True)["networks"]["eth0"]
    heard = quiet.stats(stream=False, one_shot=True)["networks"]["eth0"]
    assert said["tx_bytes"] > 3000 > heard["tx_bytes"]
    assert said["tx_packets"] >= 3
    joined = detached(client, network_mode=f"container:{talker.id}")
    assert joined.stats(stream=False, one_shot=True)["networks"]["eth0"]["tx_bytes"] >= said["tx_bytes"]
    assert "networks" not in detached(client, network_mode="host").stats(stream=False, one_shot=True)


def test_a_paused_container_has_figures_and_uses_nothing(client: DockerClient) -> None:
    container = detached(client, BURN)
    container.pause()
    sample = container.stats(stream=False)
    assert percent(sample) == 0 and sample["pids_stats"]["current"] == 1
    container.unpause()
    assert burning(container)["pids_stats"]["current"] == 1


def test_update_holds_at_once_and_is_inspected(client: DockerClient) -> None:
    container = detached(client, mem_limit="64m", cpu_shares=512)
    other = detached(client, mem_limit="64m", cpu_shares=512)
    answer = container.update(mem_limit="32m", memswap_limit="48m", cpu_quota=20000, cpu_period=50000, pids_limit=30)
    assert answer == {"Warnings": []}
    container.reload()
    held = container.attrs["HostConfig"]
    assert (held["Memory"], held["MemorySwap"], held["CpuQuota"], held["CpuShares"]) == (32 << 20, 48 << 20, 20000, 512)
    sample = container.stats(stream=False, one_shot=True)
    assert (sample["memory_stats"]["limit"], sample["pids_stats"]["limit"]) == (32 << 20, 30)
    assert other.stats(stream=False, one_shot=True)["memory_stats"]["limit"] == 64 << 20


def test_a_quota_is_seen_as_throttled_time(client: DockerClient) -> None:
    limited, free = detached(client, BURN, nano_cpus=100_000_000), detached(client, BURN)
    stream = limited.stats(decode=True)
    for sample in stream:
        throttling = sample["cpu_stats"]["throttling_data"]
        if throttling["throttled_periods"] > 2:
            break
    assert throttling["throttled_time"] > 0 and throttling["periods"] >= throttling["throttled_periods"]
    assert percent(next(stream)) < 25
    assert free.stats(stream=False)["cpu_stats"]["throttling_data"]["throttled_periods"] == 0
