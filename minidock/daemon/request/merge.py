"""A container's ``Config`` from what the user asked for and what the image says (moby ``daemon/commit.go``, merge)."""

from __future__ import annotations

from typing import Any

_EMPTY: dict[str, Any] = {
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


def merge(user: dict[str, Any], image: dict[str, Any]) -> dict[str, Any]:
    """The user's word, and the image's where the user said nothing. Neither argument is changed."""
    config = _EMPTY | {key: value for key, value in user.items() if value is not None}
    for key in ("User", "WorkingDir", "StopSignal", "Healthcheck", "Shell"):
        if not config.get(key) and image.get(key):
            config[key] = image[key]
    config["Env"] = merge_env(user.get("Env") or [], image.get("Env") or [])
    config["Labels"] = {**(image.get("Labels") or {}), **_labels(user.get("Labels"))}
    for key in ("ExposedPorts", "Volumes"):
        union = {**(image.get(key) or {}), **_set(user.get(key))}
        if union:
            config[key] = union
    _merge_command(config, image)
    return config


def _merge_command(config: dict[str, Any], image: dict[str, Any]) -> None:
    """An entry point of the user's drops the image's command; [""] means none at all."""
    entrypoint, command = _words(config.get("Entrypoint")), _words(config.get("Cmd"))
    if not entrypoint:
        if not command:
            command = _words(image.get("Cmd"))
        if entrypoint is None:
            entrypoint = _words(image.get("Entrypoint"))
    if entrypoint == [""]:
        entrypoint = None
    config["Entrypoint"], config["Cmd"] = entrypoint or None, command or None


def merge_env(user: list[str] | dict[str, str], image: list[str]) -> list[str]:
    """The user's variables, then those of the image that the user did not name."""
    own = [f"{key}={value}" for key, value in user.items()] if isinstance(user, dict) else list(user)
    named = {entry.partition("=")[0] for entry in own}
    return own + [entry for entry in image if entry.partition("=")[0] not in named]


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


def _set(value: dict[str, Any] | list[str] | None) -> dict[str, Any]:
    return {name: {} for name in value} if isinstance(value, list) else dict(value or {})
