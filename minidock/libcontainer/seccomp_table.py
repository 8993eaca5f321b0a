"""The default seccomp profile: which system calls a container may make, grouped by what they are for.

An allow-list: what is not named here is refused with EPERM, and what is newer than the newest call named here with
ENOSYS, so that a C library falls back to what it used before (see seccomp.py). The verdicts are Docker's of today: its
profile has been the same idea since 1.10 and follows the kernel (io_uring and the sockets to the host left it). The test
beside this module holds the list against a packaged profile and against what dockerd's containers answer, call by call.

A call belongs here when it acts on what namespaces and cgroups have already made the container's own. What stays out acts on
the machine (modules, clock, kexec, swap, quota, accounting), undoes a namespace's borders (mount, setns, open_by_handle_at)
or was the way in of kernel bugs too often (userfaultfd, io_uring, bpf, key management).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Collection

from minidock.libcontainer.seccomp_profile import Condition, Profile, Rule, machine

# Names of 32-bit x86 stand beside their 64-bit sisters (chown32, stat64, mmap2, _time64): one table serves both.
ALLOWED: tuple[tuple[str, str], ...] = (
    (
        "Files: open, read, write, move about in them",
        """open openat openat2 creat close close_range read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2
        lseek _llseek dup dup2 dup3 fcntl fcntl64 ioctl flock truncate truncate64 ftruncate ftruncate64 fallocate
        sendfile sendfile64 copy_file_range splice tee vmsplice readahead fadvise64 fadvise64_64 cachestat""",
    ),
    (
        "Files: names, directories, links",
        """chdir fchdir getcwd mkdir mkdirat rmdir link linkat unlink unlinkat symlink symlinkat readlink readlinkat
        rename renameat renameat2 getdents getdents64 mknod mknodat name_to_handle_at""",
    ),
    (
        "Files: what they are, whose they are, when they changed",
        """stat stat64 lstat lstat64 fstat fstat64 fstatat64 newfstatat statx statfs statfs64 fstatfs fstatfs64
        access faccessat faccessat2 chmod fchmod fchmodat fchmodat2 umask
        chown chown32 lchown lchown32 fchown fchown32 fchownat utime utimes utimensat utimensat_time64 futimesat""",
    ),
    (
        "Files: extended attributes",
        """getxattr lgetxattr fgetxattr getxattrat setxattr lsetxattr fsetxattr setxattrat
        listxattr llistxattr flistxattr listxattrat removexattr lremovexattr fremovexattr removexattrat""",
    ),
    ("Files: down to the disk", "sync syncfs fsync fdatasync sync_file_range"),
    ("Mounts, looking only", "statmount listmount"),
    (
        "Being told about changes: inotify, and marks on a fanotify group that somebody handed over",
        "inotify_init inotify_init1 inotify_add_watch inotify_rm_watch fanotify_mark",
    ),
    (
        "Waiting for descriptors",
        """select _newselect pselect6 pselect6_time64 poll ppoll ppoll_time64
        epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_wait epoll_wait_old epoll_pwait epoll_pwait2
        eventfd eventfd2 pipe pipe2""",
    ),
    (
        "Asynchronous I/O, the old kind; io_uring stays out since Docker 25 (too many ways out of a container)",
        "io_setup io_destroy io_submit io_cancel io_getevents io_pgetevents io_pgetevents_time64",
    ),
    (
        "Memory",
        """brk mmap mmap2 munmap mremap mprotect madvise mincore msync remap_file_pages membarrier mseal map_shadow_stack
        mlock mlock2 mlockall munlock munlockall memfd_create memfd_secret pkey_alloc pkey_free pkey_mprotect""",
    ),
    (
        "Processes: beginning, ending, waiting (clone by its flags, below)",
        """fork vfork execve execveat exit exit_group wait4 waitid waitpid
        pidfd_open pidfd_send_signal process_mrelease""",
    ),
    (
        "Processes: who am I, in which session and group",
        """getpid getppid gettid getpgid getpgrp setpgid getsid setsid
        getuid getuid32 geteuid geteuid32 getgid getgid32 getegid getegid32 getgroups getgroups32
        getresuid getresuid32 getresgid getresgid32 capget prctl uname""",
    ),
    (
        "Processes: becoming somebody else, as far as the capabilities go",
        """setuid setuid32 setgid setgid32 setreuid setreuid32 setregid setregid32 setresuid setresuid32
        setresgid setresgid32 setfsuid setfsuid32 setfsgid setfsgid32 setgroups setgroups32 capset""",
    ),
    (
        "Giving up more: a container may sandbox itself further",
        "seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self",
    ),
    (
        "Debugging one's own processes; safe since Linux 4.8, before which it undid seccomp",
        "ptrace process_vm_readv process_vm_writev",
    ),
    (
        "Threads and their locks",
        """futex futex_time64 futex_wait futex_wake futex_requeue futex_waitv get_robust_list set_robust_list set_tid_address
        get_thread_area set_thread_area rseq""",
    ),
    (
        "Signals",
        """kill tkill tgkill rt_sigaction rt_sigprocmask rt_sigpending rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64
        rt_sigqueueinfo rt_tgsigqueueinfo rt_sigreturn sigreturn sigprocmask sigaltstack signalfd signalfd4 pause
        restart_syscall uretprobe""",
    ),
    (
        "Time: reading clocks, sleeping, timers. adjtimex and clock_adjtime only read without CAP_SYS_TIME",
        """time times gettimeofday clock_gettime clock_gettime64 clock_getres clock_getres_time64 clock_adjtime
        clock_adjtime64 adjtimex nanosleep clock_nanosleep clock_nanosleep_time64 alarm getitimer setitimer
        timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64
        timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64""",
    ),
    (
        "Scheduling and resources; the kernel lets nobody raise what he may not",
        """sched_yield sched_getparam sched_setparam sched_getscheduler sched_setscheduler sched_getattr sched_setattr
        sched_getaffinity sched_setaffinity sched_get_priority_max sched_get_priority_min sched_rr_get_interval
        sched_rr_get_interval_time64 getpriority setpriority ioprio_get ioprio_set getcpu
        getrlimit ugetrlimit setrlimit prlimit64 getrusage sysinfo""",
    ),
    (
        "Sockets (socket itself by its family, below)",
        """socketpair socketcall bind connect listen accept accept4 shutdown getsockname getpeername getsockopt setsockopt
        send sendto sendmsg sendmmsg recv recvfrom recvmsg recvmmsg recvmmsg_time64""",
    ),
    (
        "System V and POSIX message queues, semaphores, shared memory: all inside the ipc namespace",
        """ipc msgget msgctl msgrcv msgsnd semget semctl semop semtimedop semtimedop_time64 shmget shmctl shmat shmdt
        mq_open mq_unlink mq_notify mq_getsetattr mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64""",
    ),
    ("Random numbers", "getrandom"),
)

# What a capability opens. The kernel checks the capability too; the filter keeps the code behind it out of reach.
WITH_CAPABILITY: tuple[tuple[str, str], ...] = (
    ("DAC_READ_SEARCH", "open_by_handle_at"),
    (
        "SYS_ADMIN",
        """bpf clone clone3 unshare setns mount umount umount2 mount_setattr move_mount open_tree fsconfig fsmount fsopen fspick
        fanotify_init lookup_dcookie perf_event_open quotactl quotactl_fd setdomainname sethostname syslog
        lsm_get_self_attr lsm_set_self_attr lsm_list_modules""",
    ),
    ("SYS_BOOT", "reboot"),
    ("SYS_CHROOT", "chroot"),
    ("SYS_MODULE", "delete_module init_module finit_module"),
    ("SYS_PACCT", "acct"),
    ("SYS_PTRACE", "kcmp pidfd_getfd process_madvise"),
    ("SYS_RAWIO", "iopl ioperm"),
    ("SYS_TIME", "settimeofday stime clock_settime clock_settime64"),
    ("SYS_TTY_CONFIG", "vhangup"),
    ("SYS_NICE", "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"),
    ("SYSLOG", "syslog"),
    ("BPF", "bpf"),
    ("PERFMON", "perf_event_open"),
)

# What one machine has and others have not (names of `uname -m`).
ON_MACHINE: tuple[tuple[str, str], ...] = (
    ("x86_64", "arch_prctl modify_ldt"),
    ("aarch64", "arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls"),
)


# include/uapi/linux/sched.h: NEWNS NEWCGROUP NEWUTS NEWIPC NEWUSER NEWPID NEWNET; NEWTIME cannot be given to clone(2).
_NAMESPACE_FLAGS = 0x0002_0000 | 0x0200_0000 | 0x0400_0000 | 0x0800_0000 | 0x1000_0000 | 0x2000_0000 | 0x4000_0000
_AF_ALG, _AF_VSOCK = 38, 40

# Allowed when one of the conditions holds; each line is an alternative of its own.
ALLOWED_IF: tuple[tuple[str, Condition], ...] = (
    # All families but two: AF_ALG (the kernel's crypto, no use and many bugs), AF_VSOCK (the hypervisor: no namespace).
    ("socket", Condition(0, _AF_ALG, "SCMP_CMP_LT")),
    ("socket", Condition(0, _AF_ALG + 1)),
    ("socket", Condition(0, _AF_VSOCK, "SCMP_CMP_GT")),
    # Linux (0) and Linux in 32 bits (8), with or without UNAME26 (0x20000), and asking (all ones). Not ADDR_NO_RANDOMIZE.
    ("personality", Condition(0, 0x0)),
    ("personality", Condition(0, 0x8)),
    ("personality", Condition(0, 0x20000)),
    ("personality", Condition(0, 0x20008)),
    ("personality", Condition(0, 0xFFFFFFFF)),
)

# Without CAP_SYS_ADMIN: processes and threads, but no namespaces. clone3 has its flags behind a pointer that a filter cannot
# follow; ENOSYS sends the C library back to clone.
WITHOUT_SYS_ADMIN = ("clone", Condition(0, _NAMESPACE_FLAGS, "SCMP_CMP_MASKED_EQ", 0))
NOT_THERE_WITHOUT_SYS_ADMIN = "clone3"


def default_profile(capabilities: Collection[str]) -> Profile:
    """The default profile for a container with these capabilities (names without CAP_)."""
    have = set(capabilities)
    allow = "SCMP_ACT_ALLOW"
    names = [name for _, group in ALLOWED for name in group.split()]
    names += [n for arch, group in ON_MACHINE if arch == os.uname().machine for n in group.split()]
    names += [n for capability, group in WITH_CAPABILITY if capability in have for n in group.split()]
    rules = [Rule(tuple(dict.fromkeys(names)), allow)]
    rules += [Rule((name,), allow, conditions=(condition,)) for name, condition in ALLOWED_IF]
    if "SYS_ADMIN" not in have:
        name, condition = WITHOUT_SYS_ADMIN
        rules.append(Rule((name,), allow, conditions=(condition,)))
        rules.append(Rule((NOT_THERE_WITHOUT_SYS_ADMIN,), "SCMP_ACT_ERRNO", errno.ENOSYS))
    _, native, others = machine()
    return Profile("SCMP_ACT_ERRNO", errno.EPERM, (native, *others) if native else (), tuple(rules))
