"""Faults in client/ and cli/: what a program and a user see."""

from __future__ import annotations

from tests.faults import Fault

CONVERT = "tests/unit/client/test_convert.py"
STREAMS = "tests/unit/client/test_streams.py"
OPTS = "tests/unit/cli/test_opts.py"
FLAGS = "tests/unit/cli/test_flags.py"
FORMAT = "tests/unit/cli/test_format.py"
PUMP = "tests/unit/cli/test_pump.py"

FAULTS = (
    Fault(
        "client/convert.py",
        '"m": 1 << 20, "g": 1 << 30}',
        '"m": 10**6, "g": 1 << 30}',
        CONVERT,
        'mem_limit="128m" is less than with docker-py',
    ),
    Fault("client/convert.py", 'else "rwm"\n', 'else "rw"\n', CONVERT, "a device may not be made in the container"),
    Fault(
        "client/convert.py",
        '("true" if value else "false")',
        '("True" if value else "False")',
        CONVERT,
        "filters={'dangling': True} finds nothing",
    ),
    Fault(
        "client/convert.py",
        'if colon and "/" not in tag else (name, None)',
        "if colon else (name, None)",
        CONVERT,
        "localhost:5000/image is taken for the tag 5000/image",
    ),
    Fault(
        "client/convert.py",
        'name if value is None else f"{name}={_text(value)}"',
        'f"{name}={_text(value)}"',
        CONVERT,
        "a variable that should be taken away has the value None",
    ),
    Fault(
        "client/streams.py",
        '_FRAME = struct.Struct(">BxxxI")',
        '_FRAME = struct.Struct("<BxxxI")',
        STREAMS,
        "output cannot be read",
    ),
    Fault(
        "client/streams.py",
        "            while left and (data := _read(sock, min(left, CHUNK))):\n                left -= len(data)\n",
        "            if data := _read(sock, min(left, CHUNK)):\n",
        STREAMS,
        "of a long write only the first part arrives",
    ),
    Fault(
        "client/streams.py",
        "            yield (None, data) if stream == STDERR else (data, None)",
        "            yield (data, None) if stream == STDERR else (None, data)",
        f"{STREAMS} tests/linux/client/test_containers.py::test_exec_run",
        "stdout and stderr are exchanged",
    ),
    Fault(
        "client/api/base.py",
        "return {key: value for key, value in plain.items() if value is not None}",
        "return {key: value for key, value in plain.items() if value}",
        "tests/unit/client/test_client.py",
        "an empty list, which takes a default away, does not arrive",
    ),
    Fault(
        "client/api/container.py",
        'if tail != "all" and (not isinstance(tail, int) or tail < 0):',
        'if tail != "all" and (not isinstance(tail, int) or tail <= 0):',
        "tests/linux/client/test_containers.py::test_logs",
        "logs(tail=0) gives the whole log",
    ),
    Fault(
        "cli/main.py",
        "        return 130\n",
        "        return 1\n",
        "tests/unit/cli/test_main.py",
        "a script cannot tell Ctrl-C from a failure",
    ),
    Fault(
        "cli/opts/sizes.py",
        '"k": 1 << 10, "m": 1 << 20',
        '"k": 1000, "m": 1 << 20',
        OPTS,
        "-m 65536k is not 64 MiB",
    ),
    Fault(
        "cli/opts/sizes.py",
        'return -1 if text == "-1" else ram_in_bytes(text)',
        "return ram_in_bytes(text)",
        OPTS,
        "--memory-swap -1 is refused",
    ),
    Fault(
        "cli/opts/sizes.py",
        "    if weight and not 10 <= weight <= 1000:",
        "    if weight and not 10 < weight <= 1000:",
        OPTS,
        "the smallest weight of a device is refused",
    ),
    Fault(
        "cli/opts/envfile.py",
        'return [line for line in own if "=" in line] + list(given)',
        'return list(given) + [line for line in own if "=" in line]',
        OPTS,
        "-e does not override --env-file",
    ),
    Fault(
        "cli/opts/envfile.py",
        'if line and not line.startswith("#"):',
        "if line:",
        OPTS,
        "comments of an env file become variables",
    ),
    Fault(
        "cli/format/table.py",
        "PADDING = 3",
        "PADDING = 2",
        FORMAT,
        "lists are not aligned as docker's are, and scripts that cut columns break",
    ),
    Fault(
        "cli/format/units.py",
        "while size >= base and",
        "while size > base and",
        FORMAT,
        "1000B instead of 1kB",
    ),
    Fault(
        "cli/format/units.py",
        '        (24 * 14, 24, "days"),',
        '        (24 * 7, 24, "days"),',
        FORMAT,
        "eight days are called a week",
    ),
    Fault(
        "cli/format/functions.py",
        'separators=(",", ":"), ensure_ascii=False)',
        'separators=(",", ":"))',
        FORMAT,
        "{{json .}} shows names as escapes",
    ),
    Fault(
        "cli/grammar/flags.py",
        "                if not interspersed:\n                    break\n",
        "",
        FLAGS,
        "docker run busybox ls -l: -l is taken for an option of run",
    ),
    Fault(
        "cli/grammar/flags.py",
        '            if word == "--":\n                break\n',
        "",
        FLAGS,
        "-- does not end the options",
    ),
    Fault(
        "cli/terminal/pump.py",
        "                self.sock.shutdown(socket.SHUT_WR)\n",
        "                pass\n",
        PUMP,
        "echo x | minidock run -i busybox cat never ends",
    ),
    Fault(
        "cli/terminal/pump.py",
        "if self.stdin is not None and not self.pending:",
        "if self.stdin is not None:",
        PUMP,
        "a process that does not read makes the command grow without end",
    ),
    Fault(
        "cli/terminal/pump.py",
        'data = self.keys.flush() if self.keys else b""',
        'data = b""',
        PUMP,
        "a ctrl-p at the end of the input is lost",
    ),
)
