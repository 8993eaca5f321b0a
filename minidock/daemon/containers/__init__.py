"""The verbs of containers, one a file, named as docker's commands are: `create`, `start`, `stop`, `exec`, `logs` …

Each begins with what it is given in docker's words, looks up the container, takes its lock where it changes something, and
leaves the rest to the rooms below. A verb may call another (`run` is `create` and `start`). Imports every room below.
"""
