"""The ``minidock`` command: docker's grammar over a client in docker-py's low-level shape.

::

    main.py        the global options, the table of commands, and what an error becomes (words, exit code)
    launcher.py    what bin/minidock calls
    streams.py     our own stdin, stdout and stderr: closed, full, or read by nobody
    run.py …       one file for each command: its flags, and a function that calls the client and prints
    grammar/       Go's pflag and cobra: flags, argument counts, help texts, their very words
    opts/          the values that flags take: sizes, env files, mounts, ulimits, … (pure functions)
    format/        ``--format`` (Go templates), tables, human sizes and durations
    terminal/      raw mode, window size, detach keys, signals, the attach stream

A command is imported when it is called, and nothing else is; ``docker`` (for ``-H``) and ``rich`` (progress) only where used.
Every command gets the client through `context.Context.api`, so the same code drives the engine in this process and, with
``-H``, a daemon through docker-py itself.
"""
