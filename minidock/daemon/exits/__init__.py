"""What is due when a run has ended, who learns of that, and who does it.

One source: the shim. It alone is the parent of a container's first process. It writes exit.json and tells "exit" to whoever is
connected. A shim that was killed takes its container along; then whoever misses it writes the file in its place (`settle`)::

    init ×───> shim ── exit.json ──────────────────────────> Container.state(), from any process at any time
                │
                ├── "exit" to the owner ───> owners.Exits.finish() ──┐   the engine that started it, while it lives
                │                                                    ├──> due.after_exit()     the one place
                ├── no owner left: execs entry.py ───────────────────┤
                │                                                    │
                ├── "exit" to who waits ───> settle.wait_for_end()   │   kill, stop, rm, wait: they learn, and do nothing
                │                                                    │
                × killed ────> reconcile: RUN/<id>, and no shim ─────┘   the next engine that is opened

What is due (`due.finish`, under the container's lock): the address goes back, --rm removes the container, or a restart policy
starts it again after a while (`restart_wait`). It is safe to repeat and to come second: whoever finds a newer run, or no
container, leaves it alone. So one exit has one owner at a time, and a dead owner loses nothing.

Imports `base`, `request`, `record`. A restart is a start: the engine hands `containers.start` down, as `Exits.start`.
"""
