"""Every docker-py method that we have takes docker-py's parameters, by the same names, in the same order, with its defaults."""

import inspect
from collections.abc import Iterator
from typing import Any

import docker
import docker.errors
import docker.models.containers
import docker.models.images
import docker.models.networks
import docker.models.volumes
import docker.types
import pytest

import minidock
from minidock import errors, types
from minidock.client.models import containers, images, networks

# Defaults that differ on purpose: docker-py's is the chunk an HTTP body is cut into.
DEFAULTS = {("export", "chunk_size")}
PAIRS = [
    (docker.APIClient, minidock.APIClient),
    (docker.DockerClient, minidock.DockerClient),
    (docker.models.containers.Container, containers.Container),
    (docker.models.containers.ContainerCollection, containers.ContainerCollection),
    (docker.models.images.Image, images.Image),
    (docker.models.images.ImageCollection, images.ImageCollection),
    (docker.models.networks.Network, networks.Network),
    (docker.models.networks.NetworkCollection, networks.NetworkCollection),
    (docker.models.volumes.Volume, networks.Volume),
    (docker.models.volumes.VolumeCollection, networks.VolumeCollection),
    (docker.types.Mount, types.Mount),
    (docker.types.EndpointConfig, types.EndpointConfig),
]
# What docker-py has and we neither have nor refuse by name: swarm, plugins, and the inside of its HTTP session.
NOT_OURS = ("swarm", "service", "node", "secret", "config", "plugin", "task", "swarm", "configs", "services", "nodes")


def methods(cls: type) -> Iterator[str]:
    for name, value in inspect.getmembers(cls):
        if not name.startswith("_") and callable(value) and str(getattr(value, "__module__", "")).startswith("docker."):
            yield name


def parameters(function: Any) -> list[inspect.Parameter]:
    return [p for p in inspect.signature(function).parameters.values() if p.name != "self"]


CASES = [
    pytest.param(theirs, ours, name, id=f"{theirs.__name__}.{name}")
    for theirs, ours in PAIRS
    for name in [*methods(theirs), "__init__"]
    if inspect.isfunction(getattr(ours, name, None)) and name not in ("from_env", "close")
]


def compare(theirs: Any, ours: Any, name: str) -> None:
    """Assert that a call which docker-py's method takes is taken by ours."""
    own = parameters(ours)
    catches_all = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in own)
    by_name = {p.name: p for p in own}
    positional = [p.name for p in own if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    for index, parameter in enumerate(parameters(theirs)):
        if parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
            continue
        assert parameter.name in by_name or catches_all, f"{name} lacks {parameter.name}"
        if parameter.name not in by_name:
            continue
        assert positional[index : index + 1] == [parameter.name], f"{name}: {parameter.name} is in another place"
        if (name, parameter.name) not in DEFAULTS and parameter.default is not inspect.Parameter.empty:
            assert by_name[parameter.name].default == parameter.default, f"{name}({parameter.name}=…)"


@pytest.mark.parametrize(("theirs", "ours", "name"), CASES)
def test_parameters(theirs: type, ours: type, name: str) -> None:
    """A call that docker-py takes is taken here: same names, order and defaults."""
    function = getattr(theirs, name)
    compare(getattr(function, "__wrapped__", function), getattr(ours, name), name)


def test_the_comparison_sees_a_difference() -> None:
    def theirs(self: Any, a: int, b: int = 1) -> None: ...
    def other_name(self: Any, a: int, c: int = 1) -> None: ...
    def other_default(self: Any, a: int, b: int = 2) -> None: ...
    def other_order(self: Any, b: int = 1, a: int = 0) -> None: ...

    for wrong in (other_name, other_default, other_order):
        with pytest.raises(AssertionError):
            compare(theirs, wrong, "f")


@pytest.mark.parametrize(("theirs", "ours"), PAIRS[:8], ids=lambda c: c.__name__)
def test_what_is_missing_is_refused_by_name(theirs: type, ours: type) -> None:
    """Every public method of docker-py's is there, or raises NotSupported with the reason, but for swarm and HTTP."""
    known = set(dir(ours)) | set(getattr(ours, "NOT_YET", {}))
    missing = {name for name in methods(theirs) if name not in known}
    assert not {m for m in missing if not any(word in m for word in NOT_OURS)} - HTTP


# The HTTP session's own, swarm's, the builder's; "create" is a leftover of docker-py's base class.
HTTP = {"from_context", "get_adapter", "reload_config", "prune_builds", "get_unlock_key", "create"}


def test_a_refusal_names_the_method_and_the_reason() -> None:
    client = object.__new__(minidock.APIClient)
    with pytest.raises(errors.NotSupported, match=r"^pull: there is no registry client yet"):
        client.pull("busybox")  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match="no attribute 'pul'"):
        client.pul  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.parametrize("name", ["APIError", "NotFound", "ImageNotFound", "ContainerError", "ImageLoadError",
                                  "InvalidArgument", "NullResource", "DeprecatedMethod", "DockerException"])  # fmt: skip
def test_errors_have_docker_pys_names_and_families(name: str) -> None:
    ours, theirs = getattr(errors, name), getattr(docker.errors, name)
    for other in ("APIError", "NotFound", "DockerException"):
        assert issubclass(ours, getattr(errors, other)) == issubclass(theirs, getattr(docker.errors, other))


def test_container_error_reads_as_docker_pys() -> None:
    fields = ("c", 3, "false", "busybox", b"oops")
    ours, theirs = errors.ContainerError(*fields), docker.errors.ContainerError(*fields)
    assert str(ours) == str(theirs)
    assert vars(ours) == vars(theirs)
