"""The user's terminal, joined to a process in a container.

::

    keyboard ── raw mode ── detach keys ──>┐                    ┌─> stdin of the process
                                           ├─ pump ── socket ───┤
    screen   <── stdout, stderr <──────────┘  (attach stream)   └── stdout, stderr of the process
    signals  ── SIGWINCH: resize; others: kill

`tty` knows the terminal, `pump` moves the bytes, `signals` turns our signals into calls, `session` puts them together.
"""
