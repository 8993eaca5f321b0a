"""The small settings around a process: names, keyring, sysctls, limits, working directory, environment variables."""

from __future__ import annotations

import errno
import os
import resource

from minidock.errors import StartError
from minidock.libcontainer.config import Rlimit
from minidock.libcontainer.sync import Child
from minidock.linux import namespaces, security
from minidock.linux.trace import step

# What execvp(3) would use; docker always sets PATH, a bare config may not.
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def new_keyring(name: str) -> None:
    """Leave the session keyring (keyrings(7)). A kernel without keys, or without room for one more, is no hindrance."""
    try:
        security.join_session_keyring(f"_ses.{name}")
    except OSError as e:
        if e.errno not in (errno.ENOSYS, errno.EDQUOT):
            raise


def set_names(hostname: str, domainname: str) -> None:
    """Host and domain name of our own UTS namespace; "" leaves one as it is."""
    if hostname:
        namespaces.sethostname(hostname)
    if domainname:
        namespaces.setdomainname(domainname)


def set_sysctls(sysctls: tuple[tuple[str, str], ...], child: Child) -> None:
    """Write ``net.ipv4.ip_forward=1`` and its like. Which may be set at all (those of our own namespaces) the daemon has
    checked. Dots separate; a slash stands for a dot in a name, as in sysctl(8)."""
    for name, value in sysctls:
        path = "/proc/sys/" + name.translate(str.maketrans("./", "/."))
        child.at("write sysctl", path)
        with step("sysctl", f"{name}={value}"), open(path, "wb", buffering=0) as file:
            file.write(value.encode())


def set_apparmor(profile: str, child: Child) -> None:
    """Ask for an AppArmor profile from the next execve on (aa_change_onexec(2)); a kernel without AppArmor gets a warning."""
    if not profile or profile == "unconfined":
        return
    child.at("set apparmor profile", profile)
    try:
        with open("/proc/self/attr/apparmor/exec", "wb", buffering=0) as file:
            file.write(f"exec {profile}".encode())
    except FileNotFoundError:
        child.warn(f"apparmor profile {profile}: this kernel runs without AppArmor: ignored")


def set_rlimits(limits: tuple[Rlimit, ...], child: Child) -> None:
    """setrlimit(2). Raising a hard limit needs CAP_SYS_RESOURCE; where that is missing we go as far as we may, and say so."""
    for limit in limits:
        child.at("set rlimit", limit.name)
        number = getattr(resource, f"RLIMIT_{limit.name.upper()}")
        with step("setrlimit", f"{limit.name}={limit.soft}:{limit.hard}"):
            try:
                resource.setrlimit(number, (limit.soft, limit.hard))
            except ValueError:  # Python's word for EPERM here
                most = resource.getrlimit(number)[1]
                soft = most if limit.soft == -1 else min(limit.soft, most)
                resource.setrlimit(number, (soft, most))
                child.warn(f"ulimit {limit.name}: cannot be raised to {limit.hard} on this machine, stays at {most}")


def change_directory(path: str, child: Child) -> None:
    """Go to the working directory, and make sure that it is inside the root: a leaked descriptor under /proc/self/fd would
    let an image's author lead us out (CVE-2024-21626)."""
    child.at("chdir", path)
    try:
        os.chdir(path)
    except OSError as e:
        text = os.strerror(e.errno or 0).lower()
        raise StartError(f'chdir to cwd ("{path}") set in config.json failed', errno=e.errno or 0, detail=text) from e
    if not os.getcwd().startswith("/"):
        raise StartError("chdir", path, detail="current working directory is outside of container mount namespace root")


def search_path(env: tuple[str, ...]) -> str:
    """PATH's value in an environment."""
    return next((pair[5:] for pair in reversed(env) if pair.startswith("PATH=")), DEFAULT_PATH)


def with_home(env: tuple[str, ...], home: str) -> tuple[str, ...]:
    """The environment with HOME from the container's passwd file, unless it is set already (docker does so in init)."""
    if any(pair.startswith("HOME=") and pair != "HOME=" for pair in env):
        return env
    return (*(pair for pair in env if pair != "HOME="), f"HOME={home}")
