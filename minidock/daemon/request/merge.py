"""A container's ``Config`` from what the user asked for and what the image says (moby ``daemon/commit.go``, merge)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

if TYPE_CHECKING:
    from minidock.daemon.request.wire import ConfigRequest, ContainerConfig

_EMPTY: ConfigRequest = {
    "Hostname": "",
    "Domainname": "",
    "User": "",
    "AttachStdin": False,
    "AttachStdout": False,
    "AttachStderr": False,
    "Tty": False,
    "OpenStdin": False,
    "StdinOnce": False,
    "Env": None,
    "Cmd": None,
    "Image": "",
    "Volumes": None,
    "WorkingDir": "",
    "Entrypoint": None,
    "OnBuild": None,
    "Labels": None,
}


def merge(user: ConfigRequest, image: ConfigRequest) -> ContainerConfig:
    """The user's word, and the image's where the user said nothing. Neither argument is changed; keys that are not known
    here are kept."""
    given = cast("ConfigRequest", {key: value for key, value in user.items() if value is not None})
    entrypoint, command = _command(given, image)
    config = cast("ContainerConfig", {**_EMPTY, **given, "Entrypoint": entrypoint, "Cmd": command})
    text: Literal["User", "WorkingDir", "StopSignal"]
    for text in ("User", "WorkingDir", "StopSignal"):
        if not config.get(text) and image.get(text):
            config[text] = image[text]
    if not config.get("Healthcheck") and image.get("Healthcheck"):
        config["Healthcheck"] = image["Healthcheck"]
    if not config.get("Shell") and image.get("Shell"):
        config["Shell"] = image["Shell"]
    config["Env"] = merge_env(user.get("Env") or [], _variables(image.get("Env") or []))
    config["Labels"] = _labels(image.get("Labels")) | _labels(user.get("Labels"))
    names: Literal["ExposedPorts", "Volumes"]
    for names in ("ExposedPorts", "Volumes"):
        if union := _set(image.get(names)) | _set(user.get(names)):
            config[names] = union
    return config


def _command(user: ConfigRequest, image: ConfigRequest) -> tuple[list[str] | None, list[str] | None]:
    """Entry point and command. An entry point of the user's drops the image's command; [""] means none at all."""
    entrypoint, command = _words(user.get("Entrypoint")), _words(user.get("Cmd"))
    if not entrypoint:
        if not command:
            command = _words(image.get("Cmd"))
        if entrypoint is None:
            entrypoint = _words(image.get("Entrypoint"))
    if entrypoint == [""]:
        entrypoint = None
    return entrypoint or None, command or None


def merge_env(user: list[str] | dict[str, str], image: list[str]) -> list[str]:
    """The user's variables, then those of the image that the user did not name."""
    own = _variables(user)
    named = {entry.partition("=")[0] for entry in own}
    return own + [entry for entry in image if entry.partition("=")[0] not in named]


def _variables(value: list[str] | dict[str, str]) -> list[str]:
    return [f"{key}={text}" for key, text in value.items()] if isinstance(value, dict) else list(value)


def replace_or_append(defaults: list[str], override: list[str]) -> list[str]:
    """`defaults` with `override`'s values in their places; a name without ``=`` takes the variable away."""
    env: dict[str, str | None] = {entry.partition("=")[0]: entry for entry in defaults}
    for entry in override:
        name, equals, _value = entry.partition("=")
        env[name] = entry if equals else None
    return [entry for entry in env.values() if entry is not None]


def _words(value: str | list[str] | None) -> list[str] | None:
    return [value] if isinstance(value, str) else value


def _labels(value: dict[str, str] | list[str] | None) -> dict[str, str]:
    return dict.fromkeys(value, "") if isinstance(value, list) else dict(value or {})


def _set(value: dict[str, dict[str, str]] | list[str] | None) -> dict[str, dict[str, str]]:
    return {name: {} for name in value} if isinstance(value, list) else dict(value or {})
