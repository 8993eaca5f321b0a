"""What is kept of a container and where: its folder and lock, name, addresses, volumes and execs, and how all of it goes.

`container` is the folder and the state that is read off it; `names`, `network`, `volumes`, `execs`, `records` and
`cgroup_parent` each keep one thing; `removal` takes all of it away; `pending` holds the streams of those who attach before a
start. Imports `base` and `request`.
"""
