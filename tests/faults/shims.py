"""Faults in shim/ and execdriver/: the log, the streams, the exit."""

from __future__ import annotations

from tests.faults import Fault

LOG = "tests/unit/shim/test_jsonlog.py"
STREAMS = "tests/unit/shim/test_streams.py"
SHIM = "tests/linux/shim/test_shim.py"

FAULTS = (
    Fault(
        "shim/jsonlog.py",
        '(b"<", b"\\\\u003c"), ',
        "",
        LOG,
        "the log is not to the byte what dockerd writes",
    ),
    Fault("shim/jsonlog.py", "        if len(rest) >= PARTIAL:", "        if len(rest) > PARTIAL:", LOG, "a line is cut late"),
    Fault(
        "shim/jsonlog.py",
        "                os.ftruncate(self._fd, self._size)\n",
        "                pass\n",
        LOG,
        "after a full disk the log holds half an entry, and logs fails",
    ),
    Fault(
        "shim/jsonlog.py",
        "range(self._max_file - 1, 1, -1)",
        "range(2, self._max_file)",
        LOG,
        "a rotation throws all older files away but one",
    ),
    Fault(
        "shim/jsonlog.py",
        "os.O_APPEND | os.O_CLOEXEC, 0o640)",
        "os.O_APPEND | os.O_CLOEXEC, 0o644)",
        LOG,
        "everybody may read what containers print",
    ),
    Fault(
        "shim/jsonlog.py",
        "            self._append(_entries(rest, stream, timestamp()))\n        self._rest.clear()",
        "            pass\n        self._rest.clear()",
        LOG,
        "the last line without a newline is lost",
    ),
    Fault(
        "shim/streams.py",
        "len(c.pending) > BACKLOG for c",
        "len(c.pending) > BACKLOG << 8 for c",
        STREAMS,
        "a client that does not read makes the shim grow without end",
    ),
    Fault(
        "shim/streams.py",
        "            if self._stdin_once and not self._tty:",
        "            if not self._tty:",
        STREAMS,
        "one client that leaves ends the container's stdin for all",
    ),
    Fault(
        "shim/streams.py",
        "            if e.errno != errno.EIO:  # a master",
        "            if e.errno == errno.EIO:  # a master",
        STREAMS,
        "the shim dies when the last process leaves the terminal",
    ),
    Fault(
        "shim/detach.py",
        "min(len(self._keys) - 1, len(data))",
        "min(len(self._keys) - 2, len(data))",
        "tests/unit/shim/test_detach.py",
        "detach keys that arrive in two pieces are typed into the container",
    ),
    Fault(
        "shim/after.py",
        'write_atomic(path(config, "exit"), json.dumps(value), durable=config.durable)',
        'write_atomic(path(config, "exit"), json.dumps(value), durable=False)',
        "tests/linux/daemon/test_durable.py",
        "after a power cut nobody knows how a container ended",
    ),
    Fault(
        "shim/after.py",
        "if e.errno not in (errno.ENOSPC, errno.EDQUOT):\n            raise\n        with open(",
        "if e.errno not in (errno.EROFS,):\n            raise\n        with open(",
        "tests/linux/robust/test_machine_faults.py",
        "a container that filled the disk seems to have been killed",
    ),
    Fault(
        "shim/shim.py",
        "        return sum(kills) > 0\n",
        "        return sum(kills) > 1\n",
        f"{SHIM}::test_oom_is_seen",
        "OOMKilled says false",
    ),
    Fault(
        "shim/shim.py",
        'wants["stdin"] = wants["stdin"] and self._config.open_stdin',
        'wants["stdin"] = wants["stdin"]',
        f"{SHIM}",
        "who attaches can type into a container that was started without -i",
    ),
    Fault(
        "shim/shim.py",
        'self._released = self._released or (op == "release" and self._exited)',
        "self._released = self._exited",
        f"{SHIM}::test_after_exit {SHIM}::test_waiters_and_owners",
        "an engine that dies after an exit leaves --rm containers behind",
    ),
    Fault(
        "shim/notes.py",
        "os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC",
        "os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC",
        "tests/unit/shim/test_notes.py",
        "of the records of what happened only the last one stays",
    ),
    Fault(
        "shim/notes.py",
        'os.rename(path, f"{path}.1")',
        "os.unlink(path)",
        "tests/unit/shim/test_notes.py",
        "the older half of the records is thrown away",
    ),
    Fault(
        "shim/zygote.py",
        "    os.chmod(temporary, 0o600)\n",
        "",
        "tests/linux/security/test_state_directory.py",
        "only the folder's mode keeps others from the zygote's socket",
    ),
    Fault(
        "execdriver/spawn.py",
        "            program = executable.protected(python)\n",
        "            program = os.open(python, os.O_RDONLY)\n",
        f"{SHIM}::test_the_executable_cannot_be_opened_for_writing tests/linux/security/test_escapes.py",
        "root in a container can write to the host's Python (CVE-2019-5736)",
    ),
    Fault(
        "execdriver/spawn.py",
        "_ABSENT = (errno.ENOENT, errno.ECONNREFUSED)",
        "_ABSENT = (errno.ENOENT,)",
        "tests/linux/execdriver/test_native.py",
        "after a zygote was killed no container starts any more",
    ),
    Fault(
        "execdriver/spawn.py",
        "                setsigdef=signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP},\n",
        "",
        "tests/linux/execdriver/test_native.py",
        "the zygote of a command under nohup ignores SIGHUP, as do all shims",
    ),
    Fault(
        "execdriver/native.py",
        'if fields["run"] == self._shim.run:',
        'if fields["run"]:',
        "tests/linux/execdriver/test_native.py",
        "a run that was lost is told with the exit code of the one before",
    ),
)
