"""The process beside each container: it waits, pumps output into the log and to whoever is attached, and tells how it ended.

`zygote` stands ready and forks; `starter` does the work of one start and ends; `shim` stays until the container has ended, and
`after` sees to what is due then if nobody else does. `protocol` draws the ladder of these processes, and has what they and an
engine say to one another. Imports `errors`, `linux` and `libcontainer`; it knows no engine.
"""
