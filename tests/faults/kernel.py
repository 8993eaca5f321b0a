"""Faults in linux/: flags, numbers, errors, durability."""

from __future__ import annotations

from tests.faults import Fault

FILES = "tests/linux/linux/test_files.py"
DURABLE = "tests/linux/linux/test_durable.py"
DESCRIPTORS = "tests/linux/linux/test_inheritance.py"
PROCESS = "tests/linux/linux/test_process.py"
ROOTFS = "tests/linux/libcontainer/test_rootfs.py"

FAULTS = (
    Fault(
        "linux/files.py",
        "        if durable:\n            os.fsync(fd)\n",
        "",
        DURABLE,
        "after a power cut every state file is empty: containers, images and exit codes are lost",
    ),
    Fault(
        "linux/files.py",
        "            os.unlink(temporary)\n            raise",
        "            raise",
        FILES,
        "each write that fails leaves a temporary file in the state directory",
    ),
    Fault(
        "linux/files.py",
        "            view = view[os.write(fd, view) :]",
        "            view = view[os.write(fd, view) and len(view) :]",
        FILES,
        "on a disk that is filling up, half a state file is taken for a whole one",
    ),
    Fault(
        "linux/files.py",
        "fcntl.LOCK_SH if shared else fcntl.LOCK_EX",
        "fcntl.LOCK_SH",
        FILES,
        "two engines hold the same lock at once",
    ),
    Fault(
        "linux/files.py",
        "0 if blocking else fcntl.LOCK_NB",
        "0",
        FILES,
        "who asks for a lock without waiting waits all the same",
    ),
    Fault(
        "linux/openat2.py",
        "_OpenHow(flags | os.O_CLOEXEC, mode, resolve)",
        "_OpenHow(flags, mode, resolve)",
        DESCRIPTORS,
        "programs inherit descriptors of the container's root",
    ),
    Fault(
        "linux/sockets.py",
        "socket.MSG_CMSG_CLOEXEC)",
        "0)",
        DESCRIPTORS,
        "descriptors that come over a socket are inherited by everything that is executed later",
    ),
    Fault(
        "linux/mount.py",
        "_FSMOUNT_CLOEXEC = 1",
        "_FSMOUNT_CLOEXEC = 0",
        DESCRIPTORS,
        "programs inherit a detached mount",
    ),
    Fault(
        "linux/mount.py",
        "_OPEN_TREE_CLOEXEC = os.O_CLOEXEC",
        "_OPEN_TREE_CLOEXEC = 0",
        DESCRIPTORS,
        "programs inherit a detached bind mount of the host",
    ),
    Fault(
        "linux/tty.py",
        "TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)",
        "TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY)",
        DESCRIPTORS,
        "programs inherit the terminal of another container",
    ),
    Fault(
        "linux/inotify.py",
        "libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)",
        "libc.inotify_init1(os.O_NONBLOCK)",
        DESCRIPTORS,
        "programs inherit a watch: root has 128 of them",
    ),
    Fault(
        "linux/process.py",
        "if result.si_code == os.CLD_EXITED else 128 + result.si_status",
        "if result.si_code == os.CLD_EXITED else result.si_status",
        PROCESS,
        "a killed process looks like one that ended with 9",
    ),
    Fault(
        "linux/process.py",
        "for number in range(1, signal.NSIG):",
        "for number in range(2, signal.NSIG):",
        "tests/linux/libcontainer/test_container.py::test_signals_are_as_a_new_process_expects",
        "a container started under nohup ignores SIGHUP",
    ),
    Fault(
        "linux/process.py",
        "    signal.pthread_sigmask(signal.SIG_SETMASK, ())\n",
        "",
        "tests/linux/libcontainer/test_container.py::test_signals_are_as_a_new_process_expects",
        "a container inherits blocked signals and cannot be stopped",
    ),
    Fault(
        "linux/mount.py",
        '    flags = AT_EMPTY_PATH | (AT_RECURSIVE if recursive else 0)\n    syscall("mount_setattr"',
        '    flags = AT_EMPTY_PATH\n    syscall("mount_setattr"',
        ROOTFS,
        "of a read-only bind mount what is mounted below stays writable",
    ),
    Fault(
        "linux/security.py",
        "*(m >> 32 for m in masks))",
        "*(0 for m in masks))",
        "tests/linux/linux/test_security.py",
        "capabilities with numbers above 31 cannot be given",
    ),
    Fault(
        "linux/netlink.py",
        "                if error:\n",
        "                if error > 0:\n",
        "tests/linux/networkdriver/test_rules.py",
        "the kernel's refusals of links and addresses are taken for success",
    ),
    Fault(
        "linux/netlink.py",
        "attribute(IFLA_MTU, mtu) + attribute(IFLA_NET_NS_FD, peer_ns)",
        "attribute(IFLA_NET_NS_FD, peer_ns)",
        "tests/linux/networkdriver/test_rules.py",
        "the container's end has another MTU than the bridge: large packets vanish",
    ),
    Fault(
        "linux/netlink.py",
        "            body += attribute(IFA_BROADCAST, interface.network.broadcast_address.packed)\n",
        "",
        "tests/linux/networkdriver/test_rules.py",
        "the interface has no broadcast address",
    ),
    Fault(
        "linux/trace.py",
        "                os.close(result)  # the caller",
        "                pass  # the caller",
        "tests/linux/graph/test_store.py::test_an_injected_fault_loses_no_descriptor",
        "the failure injection itself leaks, and hides leaks of the engine",
    ),
    Fault(
        "linux/executable.py",
        "mount.mount_setattr(tree, mount.MOUNT_ATTR_RDONLY | mount.MOUNT_ATTR_NODEV)",
        "mount.mount_setattr(tree, mount.MOUNT_ATTR_NODEV)",
        "tests/linux/execdriver/test_native.py::test_protected_executable",
        "root in a container can write to the host's Python (CVE-2019-5736)",
    ),
    Fault(
        "linux/executable.py",
        " | fcntl.F_SEAL_WRITE",
        "",
        "tests/linux/execdriver/test_native.py::test_protected_executable",
        "on an older kernel, too",
    ),
    Fault(
        "linux/libc.py",
        '"keyctl": (250, 219)',
        '"keyctl": (250, 217)',
        "tests/unit/linux/test_libc.py",
        "on arm64 another system call is made than was meant",
    ),
    Fault(
        "linux/inotify.py",
        "IN_MODIFY | IN_MOVED_TO | IN_CREATE",
        "IN_MODIFY | IN_CREATE",
        "tests/linux/linux/test_inheritance.py tests/linux/linux/test_files.py",
        "who follows a log or waits for an end is not woken by a file that is renamed into place",
    ),
)
