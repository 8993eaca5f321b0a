"""The kernel, one thin function per system call: it raises OSError(errno, text, path) and decides nothing.

`libc` calls through ctypes, which nobody above this folder knows; the others have their calls by subject (`process`,
`namespaces`, `mount`, `security`, `tty`, `netlink`, `bpf` …), each with its man page. `trace` records every call, and makes one
fail when a test wants it; `files` writes what must survive a crash. Imports the standard library alone.
"""
