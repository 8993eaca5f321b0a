"""The package's face: what importing costs and gives, where from_env goes, how arguments name things."""

import subprocess
import sys
from typing import Any

import docker
import pytest

import minidock
from minidock import errors
from minidock.client.api.base import as_json, resource_id
from minidock.client.client import from_env
from minidock.daemon.images.ls import glob, repository
from minidock.daemon.request.filters import labels_match


def test_importing_the_package_loads_nothing_else() -> None:
    code = "import sys; before = set(sys.modules); import minidock; print(sorted(set(sys.modules) - before))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "['minidock']"


def test_the_lazy_names_are_there() -> None:
    from minidock.types import Mount

    assert minidock.types.Mount is Mount
    assert minidock.errors is errors
    assert minidock.DockerClient.__name__ == "DockerClient" and minidock.APIClient.__name__ == "APIClient"
    assert minidock.__version__ and "from_env" in dir(minidock)
    with pytest.raises(AttributeError, match="module 'minidock' has no attribute 'nothing'"):
        minidock.nothing  # noqa: B018


def test_the_embedded_client_never_loads_docker_py() -> None:
    code = (
        "import sys, minidock.client.models.run, minidock.client.client; print('docker' in sys.modules, 'click' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False False\n"


def test_minidock_host_gives_docker_py_s_client() -> None:
    environment = {"MINIDOCK_HOST": "tcp://127.0.0.1:1", "DOCKER_HOST": "tcp://127.0.0.1:2"}
    client: Any = from_env(environment=environment, version="1.41")
    try:
        assert isinstance(client, docker.DockerClient)
        assert client.api.base_url == "http://127.0.0.1:1"
    finally:
        client.close()


@pytest.mark.parametrize("wrong", [{"base_url": "tcp://x:1"}, {"nonsense": 1}])
def test_what_the_embedded_client_does_not_take(wrong: dict[str, Any]) -> None:
    with pytest.raises((errors.InvalidArgument, TypeError)):
        minidock.APIClient(**wrong)


@pytest.mark.parametrize("resource", ["x", {"Id": "x"}, {"ID": "x"}])
def test_resource_id(resource: Any) -> None:
    """An id, or an object that has one, is taken alike, as docker-py does."""
    assert resource_id(resource) == "x"


@pytest.mark.parametrize("nothing", [None, "", {}, {"Id": ""}])
def test_no_resource(nothing: Any) -> None:
    """No id is told as docker-py tells it."""
    with pytest.raises(errors.NullResource, match="Resource ID was not provided"):
        resource_id(nothing)


def test_what_crosses_to_the_engine_is_json_and_a_copy() -> None:
    body = {"A": None, "B": (1, 2), "C": {"d": []}, "empty": [], "no": False, "zero": 0}
    crossed = as_json(body)
    assert crossed == {"B": [1, 2], "C": {"d": []}, "empty": [], "no": False, "zero": 0}, "they take a default away"
    crossed["C"]["d"].append(1)
    assert body["C"] == {"d": []}
    with pytest.raises(TypeError):
        as_json({"A": object()})


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [("busy*", "busybox", True), ("*", "a/b", False), ("*/*", "a/b", True), ("b?x", "box", True), ("b?x", "b/x", False),
     ("[a-c]x", "bx", True), ("[^a-c]x", "bx", False), ("[^a-c]x", "dx", True), (r"\*", "*", True), (r"\*", "a", False),
     ("a.b", "axb", False), ("busy", "busybox", False)],
)  # fmt: skip
def test_reference_patterns_are_go_s(pattern: str, text: str, matches: bool) -> None:
    assert bool(glob(pattern).fullmatch(text)) == matches


@pytest.mark.parametrize("pattern", ["[", "[]a]", "[a", "[b-a]"])
def test_a_bad_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(errors.InvalidParameter, match="syntax error in pattern"):
        glob(pattern)


def test_repository_and_labels() -> None:
    names = ["a:1", "a@sha256:00", "h:5000/a", "h:5000/a:1", "a"]
    assert [repository(name) for name in names] == ["a", "a", "h:5000/a", "h:5000/a", "a"]
    assert labels_match({"a": "1"}, ["a", "a=1"]) and not labels_match({"a": "1"}, ["a=2"]) and not labels_match(None, ["a"])
