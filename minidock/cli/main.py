"""The entry point: ``minidock [OPTIONS] COMMAND [ARG...]``.

`COMMANDS` and `GROUPS` name each command's module, so that only the called one is imported. A command returns its exit code;
what goes wrong becomes words and a code here, and nowhere else a traceback:

==================================  ======================================  ====
mistake in the options              pflag's words, the usage line           125
wrong number of arguments           cobra's words, the usage line           1
the engine refused                  ``Error response from daemon: …``       1
                                    for ``run``, with its name in front     125, 126 or 127
Ctrl-C                                                                      130
our output cannot be written              one line, or none (``streams.py``)        1, 141
a fault of ours                     one line; MINIDOCK_DEBUG=1: traceback   125
==================================  ======================================  ====
"""

from __future__ import annotations

import errno
import importlib
import os
import sys
from collections.abc import Sequence

from minidock.cli import failures, streams
from minidock.cli.context import Context, Globals
from minidock.cli.grammar import flags as flagset
from minidock.cli.grammar import help as helptext
from minidock.cli.grammar.command import PROGRAM, Command, UsageError, run_help
from minidock.cli.grammar.flags import boolean, string
from minidock.cli.streams import complain, say
from minidock.frozen import Frozen


class Entry(Frozen):
    """Where a command is: `module` of this package, and which of its Commands; `listed`: the one-line text in the lists."""

    module: str
    listed: str = ""
    attribute: str = "COMMAND"


_CONTAINER = {
    "attach": Entry("attach", "Attach local standard input, output, and error streams to a running container"),
    "create": Entry("create", "Create a new container"),
    "exec": Entry("exec", "Execute a command in a running container"),
    "export": Entry("export", "Export a container's filesystem as a tar archive"),
    "kill": Entry("kill", "Kill one or more running containers"),
    "logs": Entry("logs", "Fetch the logs of a container"),
    "pause": Entry("pause", "Pause all processes within one or more containers"),
    "rename": Entry("rename", "Rename a container"),
    "restart": Entry("restart", "Restart one or more containers"),
    "rm": Entry("rm", "Remove one or more containers"),
    "run": Entry("run", "Create and run a new container from an image"),
    "start": Entry("start", "Start one or more stopped containers"),
    "stats": Entry("stats", "Display a live stream of container(s) resource usage statistics"),
    "stop": Entry("stop", "Stop one or more running containers"),
    "top": Entry("top", "Display the running processes of a container"),
    "unpause": Entry("unpause", "Unpause all processes within one or more containers"),
    "update": Entry("update", "Update configuration of one or more containers"),
    "wait": Entry("wait", "Block until one or more containers stop, then print their exit codes"),
}
_IMAGE = {
    "history": Entry("history", "Show the history of an image"),
    "import": Entry("import_", "Import the contents from a tarball to create a filesystem image"),
    "load": Entry("load", "Load an image from a tar archive or STDIN"),
    "tag": Entry("tag", "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE"),
}
COMMANDS = {
    **_CONTAINER,
    **_IMAGE,
    "bootstrap": Entry("bootstrap", "Make the base images (busybox, lab) from this machine's files"),
    "images": Entry("images", "List images"),
    "info": Entry("info", "Display system-wide information"),
    "inspect": Entry("inspect", "Return low-level information on minidock objects"),
    "ps": Entry("ps", "List containers"),
    "rmi": Entry("rmi", "Remove one or more images"),
    "version": Entry("version", "Show the minidock version information"),
}
GROUPS = {
    "container": {
        **_CONTAINER,
        "inspect": Entry("inspect", "Display detailed information on one or more containers", "CONTAINER"),
        "ls": Entry("ps", "List containers"),
        "list": Entry("ps"),
        "ps": Entry("ps"),
        "remove": Entry("rm"),
    },
    "image": {
        **_IMAGE,
        "inspect": Entry("inspect", "Display detailed information on one or more images", "IMAGE"),
        "ls": Entry("images", "List images"),
        "list": Entry("images"),
        "rm": Entry("rmi", "Remove one or more images"),
        "remove": Entry("rmi"),
    },
    "system": {"info": Entry("info", "Display system-wide information")},
}
GROUP_TEXTS = {"container": "Manage containers", "image": "Manage images", "system": "Manage minidock"}
COMMON = ("run", "exec", "ps", "images", "version", "info")
LOG_LEVELS = ("trace", "debug", "info", "warn", "warning", "error", "fatal", "panic")

OPTIONS = (
    boolean("debug", "D", "Enable debug mode"),
    string("host", "H", "Daemon to connect to, instead of the engine in this process"),
    string("log-level", "l", 'Set the logging level ("debug", "info", "warn", "error", "fatal")', default="info"),
    string("root", help="State directory (default: $MINIDOCK_ROOT, else /var/lib/minidock)"),
    boolean("version", "v", "Print version information and quit"),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    code = 0
    try:
        code = _guarded(words)
        streams.flush()
    except streams.StreamError as error:
        if error.broken:
            return code or streams.SIGPIPE_STATUS
        complain(str(error))
        return code or 1
    return code


def _guarded(words: list[str]) -> int:
    """`_run`, whose errors become words and exit codes; all but StreamError."""
    try:
        return _run(words)
    except UsageError as error:
        complain(str(error))
        return error.code
    except failures.caught() as error:
        complain(failures.words(error))
        return 1
    except KeyboardInterrupt:
        return 130
    except streams.StreamError:
        raise
    except MemoryError:
        return _no_memory()
    except Exception as error:  # noqa: BLE001 — the last resort: a fault of ours, never a traceback unless asked for
        return _fault(error)


def _no_memory() -> int:
    complain(f"{PROGRAM}: cannot allocate memory")
    return 125


def _fault(error: Exception) -> int:
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return _no_memory()
    if isinstance(error, ImportError) and error.path and os.path.exists(error.path):  # dlopen(3) tells by text alone
        complain(f"{PROGRAM}: cannot load {error.path}, most likely for lack of memory: {error}")
        return 125
    if os.environ.get("MINIDOCK_DEBUG"):
        import traceback

        traceback.print_exception(error)
    else:
        complain(f"{PROGRAM}: internal error: {type(error).__name__}: {error} (MINIDOCK_DEBUG=1 shows where)")
    return 125


def _run(words: list[str]) -> int:
    try:
        parsed = flagset.parse(OPTIONS, words, interspersed=False)
    except flagset.HelpWanted as wanted:
        return _help(wanted)
    except flagset.FlagError as error:
        usage = f"Usage:  {PROGRAM} [OPTIONS] COMMAND [ARG...]"
        raise UsageError(f"{error}\n\n{usage}\n\n{run_help(PROGRAM)}", 125) from None
    if parsed["log-level"] not in LOG_LEVELS:
        raise UsageError(f"Unable to parse logging level: {parsed['log-level']}", 1)
    if parsed["version"]:
        from minidock import __version__

        say(f"minidock version {__version__}")
        return 0
    host = parsed["host"] or os.environ.get("MINIDOCK_HOST", "")
    options = Globals(host, parsed["root"], parsed["debug"], parsed["log-level"])
    return _dispatch(parsed.args, options)


def _dispatch(words: list[str], options: Globals) -> int:
    if words[:1] == ["help"]:
        words = [*words[1:], "--help"]
    if not words or words == ["--help"]:
        say(_overview())
        return 0
    table, name, rest = COMMANDS, words[0], words[1:]
    if name in GROUPS:
        if not rest or rest[0] in ("--help", "-h"):
            say(_group_help(name))
            return 0
        table, name, rest = GROUPS[name], f"{name} {rest[0]}", rest[1:]
    entry = table.get(name.split()[-1])
    if entry is None:
        raise _unknown(name)
    command: Command = getattr(importlib.import_module(f"minidock.cli.{entry.module}"), entry.attribute)
    context = Context(name, options)
    try:
        return command.do(context, command.parse(name, rest))
    except flagset.HelpWanted as wanted:
        return _help(wanted, command.help(name))
    finally:
        context.close()


def _help(wanted: flagset.HelpWanted, text: str = "") -> int:
    if wanted.note:
        complain(wanted.note)
    say(text or _overview())
    return 0


def _unknown(name: str) -> UsageError:
    group, _, _ = name.rpartition(" ")
    path = f"{PROGRAM} {group}" if group else PROGRAM
    usage = f"Usage:  {path}\n\n" if group else ""
    return UsageError(f"{PROGRAM}: unknown command: {PROGRAM} {name}\n\n{usage}{run_help(path)}", 1)


def _overview() -> str:
    rest = sorted(name for name in COMMANDS if name not in COMMON)
    return "\n\n".join(
        (
            f"Usage:  {PROGRAM} [OPTIONS] COMMAND",
            "A container runtime to learn from",
            "Common Commands:\n" + helptext.name_table([(name, COMMANDS[name].listed) for name in COMMON]),
            "Management Commands:\n" + helptext.name_table(list(GROUP_TEXTS.items())),
            "Commands:\n" + helptext.name_table([(name, COMMANDS[name].listed) for name in rest]),
            "Global Options:\n" + helptext.flag_table(OPTIONS, helptext.width()),
            f"Run '{PROGRAM} COMMAND --help' for more information on a command.",
        )
    )


def _group_help(group: str) -> str:
    rows = [(name, entry.listed) for name, entry in sorted(GROUPS[group].items()) if entry.listed]
    return "\n\n".join(
        (
            f"Usage:  {PROGRAM} {group} COMMAND",
            GROUP_TEXTS[group],
            "Commands:\n" + helptext.name_table(rows),
            f"Run '{PROGRAM} {group} COMMAND --help' for more information on a command.",
        )
    )


if __name__ == "__main__":
    streams.install()
    sys.exit(main())
