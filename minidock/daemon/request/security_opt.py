"""``--security-opt``: the words it takes, parsed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from minidock.errors import InvalidParameter
from minidock.frozen import Frozen


class SecurityOptions(Frozen):
    """What ``--security-opt`` says. seccomp: None is the default profile, else "unconfined", a path or JSON text."""

    no_new_privileges: bool = False
    seccomp: str | None = None
    apparmor: str = ""
    systempaths_unconfined: bool = False


def parse(options: Iterable[str]) -> SecurityOptions:
    """`options` in both spellings, ``key=value`` and the older ``key:value``. Raises InvalidParameter in docker's words."""
    result = SecurityOptions()
    for option in options:
        if option == "no-new-privileges":
            result = result.replace(no_new_privileges=True)
            continue
        key, separator, value = option.partition("=" if "=" in option else ":")
        if not separator:
            raise InvalidParameter(f'invalid --security-opt 1: "{option}"')
        if key == "seccomp":
            result = result.replace(seccomp=value)
        elif key == "apparmor":
            result = result.replace(apparmor=value)
        elif key == "no-new-privileges":
            result = result.replace(no_new_privileges=_boolean(option, value))
        elif key == "systempaths":
            if value != "unconfined":
                raise InvalidParameter(f'invalid --security-opt 2: "{option}"')
            result = result.replace(systempaths_unconfined=True)
        elif key != "label":  # SELinux labels: accepted and without effect where there is no SELinux, as docker does
            raise InvalidParameter(f'invalid --security-opt 2: "{option}"')
    return result


def _boolean(option: str, value: str) -> bool:
    words = {"true": True, "1": True, "t": True, "false": False, "0": False, "f": False}
    try:
        return words[value.lower()]
    except KeyError:
        raise InvalidParameter(f'invalid --security-opt 2: "{option}"') from None


def seccomp(cache: Path, security: SecurityOptions, bounding: tuple[str, ...], privileged: bool) -> str:
    """The compiled profile's path in the folder `cache` ("" for none). Privileged means unconfined unless one was named."""
    from minidock.execdriver.security import profile_path

    if security.seccomp == "unconfined" or (privileged and security.seccomp is None):
        return ""
    return profile_path(security.seccomp, bounding, cache)
