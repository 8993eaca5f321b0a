"""Image configs of wrong types: refused in the words that dockerd 20.10 was seen to say for the very same config."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidock.errors import InvalidParameter
from minidock.graph import imageconfig

FIELD = "json: cannot unmarshal {} into Go struct field {} of type {}"
TIME = r'parsing time "{0}" as "\"2006-01-02T15:04:05Z07:00\"": cannot parse "{1}" as "{2}"'

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"config": {"Env": 5}}, FIELD.format("number", "Config.config.Env", "[]string")),
    ({"config": {"Env": [5]}}, FIELD.format("number", "Config.config.Env", "string")),
    ({"config": {"Env": "a"}}, FIELD.format("string", "Config.config.Env", "[]string")),
    ({"config": {"env": 5}}, FIELD.format("number", "Config.config.Env", "[]string")),
    ({"config": 5}, FIELD.format("number", "Image.config", "container.Config")),
    ({"config": {"Cmd": 5}}, FIELD.format("number", "Config.config.Cmd", "string")),
    ({"config": {"Entrypoint": {"a": 1}}}, FIELD.format("object", "Config.config.Entrypoint", "string")),
    ({"config": {"Labels": []}}, FIELD.format("array", "Config.config.Labels", "map[string]string")),
    ({"config": {"Labels": {"a": 1}}}, FIELD.format("number", "Config.config.Labels", "string")),
    ({"config": {"ExposedPorts": []}}, FIELD.format("array", "Config.config.ExposedPorts", "nat.PortSet")),
    ({"config": {"Volumes": {"/a": 5}}}, FIELD.format("number", "Config.config.Volumes", "struct {}")),
    ({"config": {"User": 5}}, FIELD.format("number", "Config.config.User", "string")),
    ({"config": {"Tty": "a"}}, FIELD.format("string", "Config.config.Tty", "bool")),
    ({"config": {"StopTimeout": "5"}}, FIELD.format("string", "Config.config.StopTimeout", "int")),
    ({"config": {"StopTimeout": 5.5}}, FIELD.format("number 5.5", "Config.config.StopTimeout", "int")),
    ({"config": {"Healthcheck": 5}}, FIELD.format("number", "Config.config.Healthcheck", "container.HealthConfig")),
    (
        {"config": {"Healthcheck": {"Interval": "3s"}}},
        FIELD.format("string", "HealthConfig.config.Healthcheck.Interval", "time.Duration"),
    ),
    ({"config": {"Hostname": 5, "Env": 5}}, FIELD.format("number", "Config.config.Hostname", "string")),
    ({"container_config": 5}, FIELD.format("number", "Image.container_config", "container.Config")),
    ({"container_config": {"Env": 5}}, FIELD.format("number", "Config.container_config.Env", "[]string")),
    ({"history": {}}, FIELD.format("object", "Image.history", "[]image.History")),
    ({"history": [5]}, FIELD.format("number", "Image.history", "image.History")),
    ({"history": [{"empty_layer": "x"}]}, FIELD.format("string", "History.history.empty_layer", "bool")),
    ({"history": [{"created": "no"}]}, TIME.format(r"\"no\"", r"no\"", "2006")),
    ({"created": "yesterday"}, TIME.format(r"\"yesterday\"", r"yesterday\"", "2006")),
    ({"created": 5}, TIME.format("5", "5", r"\"")),
    ({"os": 5}, FIELD.format("number", "Image.os", "string")),
    ({"architecture": 5}, FIELD.format("number", "Image.architecture", "string")),
    ({"docker_version": 5}, FIELD.format("number", "Image.docker_version", "string")),
    ({"author": 5}, FIELD.format("number", "Image.author", "string")),
    ({"parent": 5}, FIELD.format("number", "Image.parent", "image.ID")),
    ({"id": 5}, FIELD.format("number", "Image.id", "string")),
    ({"comment": []}, FIELD.format("array", "Image.comment", "string")),
]
TAKEN: list[dict[str, Any]] = [
    {},
    {"created": None, "config": None, "history": None},
    {"config": {"Cmd": "sh", "Env": None, "ExposedPorts": {"x": {}}, "StopTimeout": 5, "unknown": 5}},
    {"created": "2015-03-25T08:00:00.123456789+01:00", "history": [{"created": "0001-01-01T00:00:00Z", "empty_layer": True}]},
]


@pytest.mark.parametrize(("config", "words"), REFUSED, ids=lambda x: json.dumps(x)[:60] if isinstance(x, dict) else "")
def test_refused(config: dict[str, Any], words: str) -> None:
    """A config of the wrong types is refused in words that name the field, not by a traceback later."""
    with pytest.raises(InvalidParameter) as caught:
        imageconfig.check(config)
    assert caught.value.explanation == words


@pytest.mark.parametrize("config", TAKEN, ids=lambda x: json.dumps(x)[:60])
def test_taken(config: dict[str, Any]) -> None:
    """What other tools write is taken, odd as it may be."""
    imageconfig.check(config)


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.sampled_from([*imageconfig.CONFIG.fields, "x"]), inside),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(list(imageconfig.IMAGE.fields)), ANY))
def test_any_json_is_taken_or_refused_in_one_line(config: dict[str, Any]) -> None:
    try:
        imageconfig.check(config)
    except InvalidParameter as refusal:
        assert refusal.explanation.startswith(("json: cannot unmarshal ", "parsing time "))
        assert "\n" not in refusal.explanation
