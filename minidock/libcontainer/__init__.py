"""From a `config.Config`, frozen data, to a process in a container: what runc does. Knows no image, no name and no engine.

`container.create` begins it, and `init` is the child's story, told in steps; `rootfs`, `userns`, `capabilities`, `seccomp` and
`environment` are its chapters. `exec` joins one more process. `cgroups/` has both of the kernel's versions behind one
interface, `devices` docker's table of them. Imports `errors`, `frozen` and `linux`: the zygote runs on the standard library.
"""
