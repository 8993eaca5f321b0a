"""What notebooks use: what this machine can do (`preflight`), measurements (`measure`, `experiment`, `counters`), verdicts from
intervals (`verdicts`), plots, checks of the reader's answers (`checks`, `exercises/`), predictions and quizzes.

A notebook imports the modules by name. They look at containers through `client`, as a user's program would, and at the kernel
through `linux` and `libcontainer.cgroups`; of `daemon` they take what takes an instance away (`cleanup`). Nothing imports lab.
"""
