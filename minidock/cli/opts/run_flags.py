"""The flags that ``run`` and ``create`` share, theme by theme. What they become is in `run_config`."""

from __future__ import annotations

from minidock.cli.grammar import values
from minidock.cli.grammar.flags import Flag, boolean, integer, many, string
from minidock.cli.opts import container, envfile, mounts, sizes

PROCESS = (
    string("entrypoint", help="Overwrite the default ENTRYPOINT of the image"),
    many("env", "e", "Set environment variables", parse=envfile.environment),
    many("env-file", help="Read in a file of environment variables"),
    many("group-add", help="Add additional groups to join"),
    boolean("init", help="Run an init inside the container that forwards signals and reaps processes"),
    boolean("interactive", "i", "Keep STDIN open even if not attached"),
    string("stop-signal", help="Signal to stop the container"),
    integer("stop-timeout", help="Timeout (in seconds) to stop a container"),
    boolean("tty", "t", "Allocate a pseudo-TTY"),
    many("ulimit", help="Ulimit options", parse=container.ulimit, kind="ulimit"),
    string("user", "u", "Username or UID (format: <name|uid>[:<group|gid>])"),
    string("workdir", "w", "Working directory inside the container"),
)

OBJECT = (
    many("attach", "a", "Attach to STDIN, STDOUT or STDERR", parse=container.stream),
    string("cidfile", help="Write the container ID to the file"),
    many("label", "l", "Set meta data on a container", parse=envfile.label),
    many("label-file", help="Read in a line delimited file of labels"),
    string("log-driver", help="Logging driver for the container"),
    many("log-opt", help="Log driver options"),
    string("name", help="Assign a name to the container"),
    string("platform", help="Set platform if server is multi-platform capable", hidden=True),
    string("pull", help='Pull image before running ("always", "missing", "never")', default="missing"),
    boolean("quiet", "q", "Suppress the pull output"),
    string("restart", help="Restart policy to apply when a container exits", default="no"),
    boolean("rm", help="Automatically remove the container and its associated anonymous volumes when it exits"),
    string("runtime", help="Runtime to use for this container", hidden=True),
)

FILES = (
    many("mount", help="Attach a filesystem mount to the container", parse=mounts.mount, kind="mount"),
    boolean("read-only", help="Mount the container's root filesystem as read only"),
    string("shm-size", help="Size of /dev/shm", parse=sizes.ram_in_bytes, kind="bytes", default=""),
    many("tmpfs", help="Mount a tmpfs directory"),
    many("volume", "v", "Bind mount a volume"),
    string("volume-driver", help="Optional volume driver for the container", hidden=True),
    many("volumes-from", help="Mount volumes from the specified container(s)"),
)

SECURITY = (
    many("cap-add", help="Add Linux capabilities"),
    many("cap-drop", help="Drop Linux capabilities"),
    many("device", help="Add a host device to the container"),
    many("device-cgroup-rule", help="Add a rule to the cgroup allowed devices list", parse=container.device_rule),
    boolean("privileged", help="Give extended privileges to this container"),
    many("security-opt", help="Security Options"),
    many("sysctl", help="Sysctl options", parse=container.sysctl, kind="map"),
)

NAMESPACES = (
    string("cgroupns", help="Cgroup namespace to use (host|private)"),
    string("ipc", help="IPC mode to use"),
    string("pid", help="PID namespace to use"),
    string("userns", help="User namespace to use"),
    string("uts", help="UTS namespace to use"),
)

NETWORK = (
    many("add-host", help="Add a custom host-to-IP mapping (host:ip)", parse=container.extra_host),
    many("dns", help="Set custom DNS servers", parse=container.ip_address),
    many("dns-option", help="Set DNS options", aliases=("dns-opt",)),
    many("dns-search", help="Set custom DNS search domains", parse=container.dns_search),
    string("domainname", help="Container NIS domain name"),
    string("hostname", "h", "Container host name"),
    string("ip", help="IPv4 address (e.g., 172.30.100.104)"),
    string("mac-address", help="Container MAC address (e.g., 92:d0:c6:0a:29:33)"),
    many("network", help="Connect a container to a network", parse=container.network, kind="network", aliases=("net",)),
    many("network-alias", help="Add network-scoped alias for the container", aliases=("net-alias",), hidden=True),
)

PORTS = (
    many("expose", help="Expose a port or a range of ports", hidden=True),
    many("link", help="Add link to another container", hidden=True),
    many("publish", "p", "Publish a container's port(s) to the host", hidden=True),
    boolean("publish-all", "P", "Publish all exposed ports to random ports", hidden=True),
)

RESOURCES = (
    Flag("blkio-weight", "", "Block IO (relative weight), between 10 and 1000, or 0 to disable", "uint16", values.uint16, 0),
    many("blkio-weight-device", help="Block IO weight (relative device weight)", parse=sizes.weight_device),
    string("cgroup-parent", help="Optional parent cgroup for the container"),
    integer("cpu-period", help="Limit CPU CFS (Completely Fair Scheduler) period"),
    integer("cpu-quota", help="Limit CPU CFS (Completely Fair Scheduler) quota"),
    integer("cpu-rt-period", help="Limit CPU real-time period in microseconds"),
    integer("cpu-rt-runtime", help="Limit CPU real-time runtime in microseconds"),
    integer("cpu-shares", "c", "CPU shares (relative weight)"),
    Flag("cpus", "", "Number of CPUs", "decimal", sizes.nano_cpus, 0),
    string("cpuset-cpus", help="CPUs in which to allow execution (0-3, 0,1)", aliases=("cpuset",)),
    string("cpuset-mems", help="MEMs in which to allow execution (0-3, 0,1)"),
    many("device-read-bps", help="Limit read rate (bytes per second) from a device", parse=sizes.throttle_bps),
    many("device-read-iops", help="Limit read rate (IO per second) from a device", parse=sizes.throttle_iops),
    many("device-write-bps", help="Limit write rate (bytes per second) to a device", parse=sizes.throttle_bps),
    many("device-write-iops", help="Limit write rate (IO per second) to a device", parse=sizes.throttle_iops),
    Flag("kernel-memory", "", "Kernel memory limit", "bytes", sizes.ram_in_bytes, 0),
    Flag("memory", "m", "Memory limit", "bytes", sizes.ram_in_bytes, 0),
    Flag("memory-reservation", "", "Memory soft limit", "bytes", sizes.ram_in_bytes, 0),
    Flag(
        "memory-swap",
        "",
        "Swap limit equal to memory plus swap: '-1' to enable unlimited swap",
        "bytes",
        sizes.memory_swap,
        0,
    ),
    integer("memory-swappiness", help="Tune container memory swappiness (0 to 100)", default=-1),
    boolean("oom-kill-disable", help="Disable OOM Killer"),
    integer("oom-score-adj", help="Tune host's OOM preferences (-1000 to 1000)"),
    integer("pids-limit", help="Tune container pids limit (set -1 for unlimited)"),
)

FLAGS = (*PROCESS, *OBJECT, *FILES, *SECURITY, *NAMESPACES, *NETWORK, *PORTS, *RESOURCES)
