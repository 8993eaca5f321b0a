"""What is kept of a container and where: its folder and lock, name, addresses, volumes and execs, and how all of it goes.
Imports `base` and `request`."""
