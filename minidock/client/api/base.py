"""What the parts of `APIClient` share: the engine, and how an argument names a resource."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from minidock.errors import NullResource

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine
    from minidock.daemon.request.wire import ConfigRequest, HostConfig, NetworkingConfig

API_VERSION = "1.41"
# A container, image or exec: its name, its id, or a dict with an "Id" such as create_container returns.
Resource = str | Mapping[str, Any] | None


def resource_id(resource: Resource) -> str:
    """The name or id in `resource`. Raises NullResource when there is none, as docker-py does."""
    if isinstance(resource, Mapping):
        resource = resource.get("Id", resource.get("ID"))
    if not resource:
        raise NullResource("Resource ID was not provided")
    return str(resource)


def as_json(body: Mapping[str, Any] | None) -> dict[str, Any]:
    """What the engine would see of `body` had it come over HTTP: plain JSON, without the keys that are null.

    So the engine can keep what it is given, and a value that is no JSON is a TypeError here, as in docker-py.
    """
    plain: dict[str, Any] = json.loads(json.dumps(body or {}))
    return {key: value for key, value in plain.items() if value is not None}


class CreateBody(NamedTuple):
    """The three parts of the body of ``POST /containers/create``, as the engine takes them."""

    config: ConfigRequest
    host_config: HostConfig
    networking: NetworkingConfig | None


def create_body(config: Mapping[str, Any]) -> CreateBody:
    """`config` (with HostConfig and NetworkingConfig in it) taken apart. Whether its values are right, the engine finds out."""
    body = as_json(config)
    host_config, networking = as_json(body.pop("HostConfig", {})), body.pop("NetworkingConfig", None)
    return CreateBody(cast("ConfigRequest", body), cast("HostConfig", host_config), cast("NetworkingConfig | None", networking))


class ApiBase:
    """Holds the engine that the verbs act on."""

    engine: Engine
