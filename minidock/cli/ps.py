"""``minidock ps``."""

from __future__ import annotations

from typing import Any

from minidock.cli.context import Context
from minidock.cli.format import FORMAT_HELP, listing, units
from minidock.cli.grammar.command import Command
from minidock.cli.grammar.flags import Flag, Parsed, boolean, many, string
from minidock.cli.grammar.quote import quote
from minidock.cli.grammar.values import int64
from minidock.cli.opts import filters
from minidock.cli.streams import say

TABLE = "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}"
HEADERS = {
    "ID": "CONTAINER ID",
    "Image": "IMAGE",
    "Command": "COMMAND",
    "CreatedAt": "CREATED AT",
    "RunningFor": "CREATED",
    "Ports": "PORTS",
    "State": "STATE",
    "Status": "STATUS",
    "Size": "SIZE",
    "Names": "NAMES",
    "Labels": "LABELS",
    "Mounts": "MOUNTS",
    "LocalVolumes": "LOCAL VOLUMES",
    "Networks": "NETWORKS",
    "Label": listing.label_header,
}
SHORT_ID, COMMAND_WIDTH, MOUNT_WIDTH = 12, 20, 15


def do(context: Context, parsed: Parsed) -> int:
    """List the containers."""
    form = parsed["format"]
    quiet = parsed["quiet"] and not form
    table = listing.Listing(form, TABLE + ("\t{{.Size}}" if parsed["size"] else ""), HEADERS)
    limit = 1 if parsed["latest"] else parsed["last"]
    size = parsed["size"] or (not parsed["quiet"] and ".Size" in form)
    wanted = filters.collect(parsed["filter"]) or None
    found = context.api.containers(quiet, parsed["all"] or limit > 0, limit=limit, size=size, filters=wanted)
    truncate = not parsed["no-trunc"]
    if quiet:
        for container in found:
            say(container["Id"][:SHORT_ID] if truncate else container["Id"])
        return 0
    table.write(row(c, truncate) for c in found)
    return 0


def row(container: dict[str, Any], truncate: bool) -> dict[str, Any]:
    """The texts of one container (formatter/container.go)."""
    labels = container.get("Labels") or {}
    created = container["Created"]
    names = [name.removeprefix("/") for name in container.get("Names") or ()]
    mounts = [mount.get("Name") or mount.get("Source", "") for mount in container.get("Mounts") or ()]
    command = container.get("Command") or ""
    return {
        "ID": container["Id"][:SHORT_ID] if truncate else container["Id"],
        "Image": _image(container, truncate),
        "Command": quote(listing.ellipsis(command, COMMAND_WIDTH) if truncate else command),
        "CreatedAt": units.local_time(created),
        "RunningFor": units.ago(created),
        "Ports": ports(container.get("Ports") or ()),
        "State": container.get("State", ""),
        "Status": container.get("Status", ""),
        "Size": _size(container),
        "Names": ",".join(names),
        "Labels": ",".join(f"{name}={labels[name]}" for name in sorted(labels)),
        "Mounts": ",".join(listing.ellipsis(mount, MOUNT_WIDTH) if truncate else mount for mount in mounts),
        "LocalVolumes": str(sum(1 for mount in container.get("Mounts") or () if mount.get("Driver") == "local")),
        "Networks": ",".join(sorted((container.get("NetworkSettings") or {}).get("Networks") or {})),
        "Label": lambda name: labels.get(name, ""),
    }


def _image(container: dict[str, Any], truncate: bool) -> str:
    image: str = container.get("Image") or "<no image>"
    if truncate and image == container.get("ImageID"):
        return image.removeprefix("sha256:")[:SHORT_ID]
    return image


def _size(container: dict[str, Any]) -> str:
    written, whole = container.get("SizeRw") or 0, container.get("SizeRootFs") or 0
    text = units.human_size(written)
    return f"{text} (virtual {units.human_size(whole)})" if whole else text


def ports(found: Any) -> str:
    """``0.0.0.0:3306->3306/tcp, 80/tcp``."""
    texts = []
    for port in sorted(found, key=lambda p: (p["PrivatePort"], p.get("Type", ""), p.get("PublicPort") or 0, p.get("IP") or "")):
        inside = f"{port['PrivatePort']}/{port.get('Type', 'tcp')}"
        address = f"[{port['IP']}]" if ":" in (port.get("IP") or "") else port.get("IP") or ""
        texts.append(f"{address}:{port['PublicPort']}->{inside}" if port.get("PublicPort") else inside)
    return ", ".join(texts)


COMMAND = Command(
    "[OPTIONS]",
    "List containers",
    do,
    (
        boolean("all", "a", "Show all containers (default shows just running)"),
        many("filter", "f", "Filter output based on conditions provided", parse=filters.one, kind="filter"),
        string("format", help=FORMAT_HELP),
        Flag("last", "n", "Show n last created containers (includes all states)", "int", int64, -1, shown_default="-1"),
        boolean("latest", "l", "Show the latest created container (includes all states)"),
        boolean("no-trunc", help="Don't truncate output"),
        boolean("quiet", "q", "Only display container IDs"),
        boolean("size", "s", "Display total file sizes"),
    ),
    most=0,
    aliases=("container ls", "container list", "container ps", "ps"),
)
