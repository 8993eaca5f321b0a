"""Dockerfile instructions that change an image's config: ``docker import --change``, ``commit --change``, the builder.

Only those that need no build: CMD ENTRYPOINT ENV EXPOSE LABEL USER VOLUME WORKDIR STOPSIGNAL ONBUILD HEALTHCHECK. The result is
docker's container config (``Cmd``, ``Env``, ``ExposedPorts`` …). Grammar and words follow docker's dockerfile parser: CMD,
ENTRYPOINT and VOLUME take a JSON array or text; ENV and LABEL take ``NAME VALUE`` or ``NAME=VALUE…`` with shell quotes.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

from minidock.errors import InvalidParameter

Config = dict[str, Any]
_PORT = re.compile(r"(\d+)(?:-(\d+))?(?:/(tcp|udp|sctp))?", re.IGNORECASE)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")
_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_HEALTH_FLAGS = {"interval": "Interval", "timeout": "Timeout", "start-period": "StartPeriod", "retries": "Retries"}


def apply(config: Config, changes: Sequence[str]) -> Config:
    """The config with the instructions applied in order; `config` itself stays as it is. Raises InvalidParameter."""
    result = deepcopy(config)
    for change in changes:
        for line in re.sub(r"\\\n", " ", change).splitlines():
            word, _, rest = line.strip().partition(" ")
            if not word or word.startswith("#"):
                continue
            instruction = _INSTRUCTIONS.get(word.upper())
            if instruction is None:
                raise InvalidParameter(f"{word.lower()} is not a valid change command")
            instruction(result, rest.strip())
    return result


def _array(rest: str) -> list[str] | None:
    """The JSON array of strings that the text is, or None (then docker takes it as shell text)."""
    if not rest.startswith("["):
        return None
    try:
        value = json.loads(rest)
    except ValueError:
        return None
    return value if isinstance(value, list) and all(isinstance(item, str) for item in value) else None


def _command(rest: str) -> list[str]:
    array = _array(rest)
    return array if array is not None else ["/bin/sh", "-c", rest]


def words(text: str) -> list[str]:
    """Split at spaces outside quotes, as docker's parser does for ENV and LABEL; quotes and backslashes are taken away.

    Raises InvalidParameter for a quote that never ends.
    """
    found: list[str] = []
    word, quote, begun, escaped = "", "", False, False
    for char in text:
        if escaped:
            word, escaped = word + (char if quote != '"' or char in '"\\$' else f"\\{char}"), False
        elif char == "\\" and quote != "'":
            begun = escaped = True
        elif quote:
            word, quote = (word, "") if char == quote else (word + char, quote)
        elif char in "\"'":
            quote, begun = char, True
        elif char.isspace():
            if begun:
                found.append(word)
            word, begun = "", False
        else:
            word, begun = word + char, True
    if quote:
        raise InvalidParameter(
            "unexpected end of statement while looking for matching " + {'"': "double", "'": "single"}[quote] + "-quote"
        )
    return [*found, word] if begun else found


def pairs(instruction: str, rest: str) -> list[tuple[str, str]]:
    """The names and values of an ENV or LABEL: ``NAME VALUE`` (one pair, the rest of the line) or ``NAME=VALUE…``."""
    if not rest:
        raise InvalidParameter(f"{instruction} requires at least one argument")
    if "=" not in rest.split(None, 1)[0]:
        name, _, value = rest.partition(" ")
        if not value.strip():
            raise InvalidParameter(f"{instruction} must have two arguments")
        return [(name, " ".join(words(value)) if value.strip()[0] in "\"'" else value.strip())]
    found = []
    for word in words(rest):
        name, equals, value = word.partition("=")
        if not equals:
            raise InvalidParameter(f"Syntax error - can't find = in {json.dumps(word)}. Must be of the form: name=value")
        if not name:
            raise InvalidParameter(f"{instruction} names can not be blank")
        found.append((name, value))
    return found


def _one(instruction: str, rest: str) -> str:
    if not rest:
        raise InvalidParameter(f"{instruction} requires exactly one argument")
    return rest


def _cmd(config: Config, rest: str) -> None:
    config["Cmd"] = _command(rest)


def _entrypoint(config: Config, rest: str) -> None:
    config["Entrypoint"] = _command(rest) if rest and _array(rest) != [] else None


def _env(config: Config, rest: str) -> None:
    env: list[str] = list(config.get("Env") or [])
    for name, value in pairs("ENV", rest):
        setting = f"{name}={value}"
        for index, old in enumerate(env):
            if old.partition("=")[0] == name:
                env[index] = setting
                break
        else:
            env.append(setting)
    config["Env"] = env


def _expose(config: Config, rest: str) -> None:
    if not rest:
        raise InvalidParameter("EXPOSE requires at least one argument")
    ports = config.setdefault("ExposedPorts", {}) or {}
    for word in rest.split():
        match = _PORT.fullmatch(word)
        first = int(match[1]) if match else 0
        last = int(match[2] or first) if match else 0
        if match is None or not 1 <= first <= last <= 65535:
            raise InvalidParameter(f"invalid containerPort: {word}")
        ports |= {f"{port}/{(match[3] or 'tcp').lower()}": {} for port in range(first, last + 1)}
    config["ExposedPorts"] = ports


def _label(config: Config, rest: str) -> None:
    config["Labels"] = {**(config.get("Labels") or {}), **dict(pairs("LABEL", rest))}


def _user(config: Config, rest: str) -> None:
    config["User"] = _one("USER", rest)


def _volume(config: Config, rest: str) -> None:
    array = _array(rest)
    volumes = array if array is not None else rest.split()
    if not volumes:
        raise InvalidParameter("VOLUME requires at least one argument")
    if not all(volume.strip() for volume in volumes):
        raise InvalidParameter("VOLUME specified can not be an empty string")
    config["Volumes"] = {**(config.get("Volumes") or {}), **{volume.strip(): {} for volume in volumes}}


def _workdir(config: Config, rest: str) -> None:
    before = config.get("WorkingDir") or "/"
    config["WorkingDir"] = posixpath.normpath(posixpath.join("/", before, _one("WORKDIR", rest)))


def _stopsignal(config: Config, rest: str) -> None:
    import signal

    name = _one("STOPSIGNAL", rest).upper()
    known = {s.name for s in signal.Signals}
    if not (name.isdecimal() and 1 <= int(name) <= 64) and not {name, f"SIG{name}"} & known and not name.startswith("SIGRT"):
        raise InvalidParameter(f"Invalid signal: {rest}")
    config["StopSignal"] = rest


def _onbuild(config: Config, rest: str) -> None:
    word = _one("ONBUILD", rest).split()[0].upper()
    if word == "ONBUILD":
        raise InvalidParameter("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
    if word in ("MAINTAINER", "FROM"):
        raise InvalidParameter(f"{word} isn't allowed as an ONBUILD trigger")
    config["OnBuild"] = [*(config.get("OnBuild") or []), rest]


def duration(text: str) -> int:
    """A Go duration ("1m30s") in nanoseconds. Raises InvalidParameter."""
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise InvalidParameter(f"time: invalid duration {json.dumps(text)}")
    return sum(int(float(number) * _UNITS[unit]) for number, unit in parts)


def _healthcheck(config: Config, rest: str) -> None:
    check: Config = {}
    while rest.startswith("--"):
        flag, _, rest = rest.partition(" ")
        rest = rest.strip()
        name, _, value = flag[2:].partition("=")
        if name not in _HEALTH_FLAGS:
            raise InvalidParameter(f"unknown flag: {name}")
        if name == "retries":
            if not value.isdecimal():
                raise InvalidParameter(f"--retries must be at least 1 (not {value})")
            check["Retries"] = int(value)
        else:
            check[_HEALTH_FLAGS[name]] = duration(value)
    kind, _, command = rest.partition(" ")
    if kind.upper() == "NONE":
        if command.strip():
            raise InvalidParameter("HEALTHCHECK NONE takes no arguments")
        config["Healthcheck"] = {"Test": ["NONE"]}
    elif kind.upper() == "CMD":
        if not command.strip():
            raise InvalidParameter("Missing command after HEALTHCHECK CMD")
        array = _array(command.strip())
        config["Healthcheck"] = {"Test": ["CMD", *array] if array is not None else ["CMD-SHELL", command.strip()], **check}
    else:
        raise InvalidParameter(f"Unknown type {json.dumps(kind)} in HEALTHCHECK (try CMD)")


_INSTRUCTIONS: dict[str, Callable[[Config, str], None]] = {
    "CMD": _cmd,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "LABEL": _label,
    "USER": _user,
    "VOLUME": _volume,
    "WORKDIR": _workdir,
    "STOPSIGNAL": _stopsignal,
    "ONBUILD": _onbuild,
    "HEALTHCHECK": _healthcheck,
}
