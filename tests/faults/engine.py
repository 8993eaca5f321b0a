"""Faults in daemon/, linkgraph.py and errors.py: the defaults, the checks, the records, the exits."""

from __future__ import annotations

from tests.faults import Fault

DEFAULTS = "tests/unit/daemon/test_defaults.py"
LIMITS = "tests/unit/daemon/test_limits.py"
MOUNTS = "tests/unit/daemon/test_mounts.py"
VALIDATE = "tests/unit/daemon/test_validate.py"
LIFECYCLE = "tests/linux/daemon/test_lifecycle.py"
EXITS = "tests/linux/daemon/test_exits.py"
LOGS = "tests/unit/daemon/test_logs.py"
DURABLE = "tests/linux/daemon/test_durable.py"
RECORDS = "tests/linux/daemon/test_records.py"
LINKS = "tests/unit/test_linkgraph.py"

FAULTS = (
    Fault(
        "libcontainer/devices.py",
        'DeviceRule(True, "b", access="m")',
        'DeviceRule(True, "b", access="rm")',
        DEFAULTS,
        "every container may read every disk of the machine",
    ),
    Fault(
        "daemon/request/defaults.py",
        '"/proc/irq", "/proc/sys", "/proc/sysrq-trigger")',
        '"/proc/irq", "/proc/sys")',
        DEFAULTS,
        "root in a container reboots the machine",
    ),
    Fault(
        "daemon/request/defaults.py",
        '    "/proc/scsi",\n',
        "",
        DEFAULTS,
        "a container sees and removes the machine's disks (CVE-2017-16539)",
    ),
    Fault(
        "daemon/request/defaults.py",
        'CGROUP = Mount("/sys/fs/cgroup", "cgroup", "cgroup", (*_NOTHING, "ro"))',
        'CGROUP = Mount("/sys/fs/cgroup", "cgroup", "cgroup", _NOTHING)',
        DEFAULTS,
        "a container lifts its own limits",
    ),
    Fault(
        "daemon/request/defaults.py",
        '_NOTHING = ("nosuid", "noexec", "nodev")',
        '_NOTHING = ("noexec", "nodev")',
        DEFAULTS,
        "set-user-ID programs work on /proc and /sys",
    ),
    Fault(
        "daemon/request/defaults.py",
        "SHM_SIZE = 64 << 20",
        "SHM_SIZE = 64 << 10",
        DEFAULTS,
        "databases die in a /dev/shm of 64 KiB",
    ),
    Fault(
        "daemon/request/spec.py",
        '*(() if point.rw else ("ro",)))',
        "*(() if point.rw else ()))",
        "tests/unit/daemon/test_spec.py",
        "a volume given as :ro can be written to",
    ),
    Fault(
        "daemon/request/spec.py",
        "return () if privileged or security.systempaths_unconfined else default",
        "return () if privileged or not security.systempaths_unconfined else default",
        "tests/unit/daemon/test_spec.py",
        "nothing of /proc is masked",
    ),
    Fault(
        "daemon/request/mounts.py",
        '    rw = "ro" not in flags\n',
        '    rw = mode != "ro"\n',
        MOUNTS,
        "ro is ignored when it is not the only word: -v /src:/dst:ro,z",
    ),
    Fault(
        "daemon/request/mounts.py",
        'defaults = [option for option in ("noexec", "nosuid", "nodev")',
        'defaults = [option for option in ("noexec", "nosuid")',
        MOUNTS,
        "device nodes on a --tmpfs can be opened",
    ),
    Fault(
        "daemon/request/mounts.py",
        '    if normal == "/":\n',
        '    if normal == "":\n',
        MOUNTS,
        "a volume is mounted over the whole container",
    ),
    Fault(
        "daemon/request/limits.py",
        "MIN_MEMORY = 6 << 20",
        "MIN_MEMORY = 6 << 10",
        LIMITS,
        "a limit in which no container can start is not refused",
    ),
    Fault(
        "daemon/request/limits.py",
        "(memory and 0 < swap < memory)",
        "(memory and 0 < swap <= memory)",
        LIMITS,
        "--memory-swap equal to --memory, docker's way to have no swap, is refused",
    ),
    Fault(
        "daemon/request/limits.py",
        "    if shares > MAX_SHARES:",
        "    if shares >= MAX_SHARES:",
        LIMITS,
        "the largest --cpu-shares is refused",
    ),
    Fault(
        "daemon/request/validate.py",
        'if host_config.get("AutoRemove") and name not in ("", "no"):',
        'if host_config.get("AutoRemove") and name not in ("", "no", "always"):',
        VALIDATE,
        "--rm with --restart=always is taken, and one of them ignored",
    ),
    Fault(
        "daemon/request/validate.py",
        "if len(hostname) > 64 or",
        "if len(hostname) > 65 or",
        VALIDATE,
        "a host name that is too long fails at the start, in the kernel's words",
    ),
    Fault(
        "daemon/request/security_opt.py",
        '"false": False, "0": False',
        '"false": True, "0": False',
        VALIDATE,
        "no-new-privileges=false switches it on",
    ),
    Fault(
        "daemon/base/timestamps.py",
        '"s": 10**9, "m": 60 * 10**9',
        '"s": 10**9, "m": 10**9',
        LOGS,
        "logs --since 10m shows the last ten seconds",
    ),
    Fault(
        "daemon/containers/logs.py",
        '        if not line.endswith(b"\\n"):\n',
        "        if not line:\n",
        LOGS,
        "logs -f loses the line that is being written",
    ),
    Fault(
        "daemon/containers/logs.py",
        "if at < wanted.since or",
        "if at <= wanted.since or",
        LOGS,
        "who asks for what came since the last line seen loses a line of the same moment",
    ),
    Fault(
        "daemon/containers/logs.py",
        "at > wanted.until)",
        "at >= wanted.until)",
        LOGS,
        "--until leaves out the line of that moment",
    ),
    Fault(
        "daemon/containers/logs.py",
        "old if tail is None else deque(old, maxlen=tail)",
        "old if not tail else deque(old, maxlen=tail)",
        LOGS,
        "logs --tail 0 shows the whole log",
    ),
    Fault(
        "daemon/exits/settle.py",
        "    network.release(engine, container)\n",
        "",
        EXITS,
        "stopped containers keep their addresses until they are removed",
    ),
    Fault(
        "daemon/exits/restart_wait.py",
        "min(2 * before, MAX_DELAY)",
        "max(2 * before, MAX_DELAY)",
        "tests/unit/daemon/test_restart.py",
        "the second restart of a container comes after a minute",
    ),
    Fault(
        "daemon/exits/restart_wait.py",
        "FIRST_DELAY if lasted >= LASTING_RUN or not before",
        "FIRST_DELAY if lasted < LASTING_RUN or not before",
        "tests/unit/daemon/test_restart.py",
        "a container that fails at once is restarted ten times a second for ever",
    ),
    Fault(
        "daemon/record/container.py",
        'return not most or bool(self.record["RestartCount"] < most)',
        'return not most or bool(self.record["RestartCount"] <= most)',
        LIFECYCLE,
        "on-failure:2 starts a third time",
    ),
    Fault(
        "daemon/record/container.py",
        'durable=durable and not self.host_config.get("AutoRemove"))',
        "durable=False)",
        DURABLE,
        "after a power cut containers have lost their configuration",
    ),
    Fault(
        "daemon/record/container.py",
        "                if not same_file(fd, path):\n",
        "                if fd < 0:\n",
        RECORDS,
        "two of which one removes a container act on it at once",
    ),
    Fault(
        "daemon/record/container.py",
        "KILLED, LOST_IN_REBOOT = 137, 255",
        "KILLED, LOST_IN_REBOOT = 137, 0",
        RECORDS,
        "after a power cut a container seems to have ended well",
    ),
    Fault(
        "daemon/record/names.py",
        "    if len(rows) > 1:\n",
        "    if len(rows) > 2:\n",
        RECORDS,
        "rm of an ambiguous prefix removes one of two",
    ),
    Fault(
        "daemon/record/removal.py",
        "    release_addresses(container)\n",
        "",
        EXITS,
        "a container that was removed while it was being made keeps an address for ever",
    ),
    Fault(
        "daemon/containers/kill.py",
        "        cgroups.manager(container.cgroup).kill()  # no pid",
        "        pass  # no pid",
        "tests/linux/daemon/test_options.py tests/linux/shim/test_shim.py::test_host_pid_namespace_leaves_nothing "
        "tests/linux/daemon/test_exits.py",
        "kill of a container with the host's pids leaves its children",
    ),
    Fault(
        "daemon/containers/stop.py",
        "None if seconds < 0 else seconds",
        "None if seconds <= 0 else seconds",
        EXITS,
        "stop -t 0 waits for ever",
    ),
    Fault(
        "daemon/containers/rm.py",
        "        if state.active and not force:",
        "        if state.running and not force:",
        EXITS,
        "rm without -f removes a container between two runs of its restart policy",
    ),
    Fault(
        "daemon/containers/ps.py",
        'f"\'{arg}\'" if " " in arg else arg',
        "arg",
        RECORDS,
        "ps shows a command that means something else",
    ),
    Fault(
        "daemon/images/rmi.py",
        "    return records if left or users else records + _delete(engine, image)",
        "    return records if left else records + _delete(engine, image)",
        "tests/linux/daemon/test_image_verbs.py",
        "rmi -f deletes the layers under a container",
    ),
    Fault(
        "linkgraph.py",
        '            connection.execute("BEGIN IMMEDIATE")\n',
        '            connection.execute("BEGIN")\n',
        LINKS,
        "two processes that look and then write: one of them fails with 'database is locked'",
    ),
    Fault(
        "linkgraph.py",
        '                    connection.execute("ROLLBACK")\n',
        '                    connection.execute("COMMIT")\n',
        LINKS,
        "half of what should have been done together is done",
    ),
    Fault(
        "linkgraph.py",
        'if getattr(self._local, "pid", None) != os.getpid():',
        'if getattr(self._local, "pid", None) is None:',
        LINKS,
        "a forked process shares its parent's connection, and the database is corrupted",
    ),
    Fault(
        "linkgraph.py",
        "PRIMARY KEY (kind, name));",
        "PRIMARY KEY (kind, name, id));",
        f"{LIFECYCLE}::test_rename_and_lookup {LINKS}",
        "two containers have the same name",
    ),
    Fault(
        "errors.py",
        "    exit_code = 127\n",
        "    exit_code = 126\n",
        "tests/unit/test_errors.py",
        "scripts cannot tell a command that is missing from one that may not be run",
    ),
    Fault(
        "errors.py",
        'error.errno or 0, "" if error.errno else str(error))',
        "0, str(error))",
        "tests/unit/test_errors.py",
        "a full disk cannot be told from any other fault",
    ),
)
