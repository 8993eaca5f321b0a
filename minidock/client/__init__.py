"""The Python API: docker-py 7's names and shapes over the engine in this process.

`client.client` has the high-level `DockerClient` and `from_env`, `client.api` the low-level `APIClient` below it,
`client.models` the objects, `client.types` and `client.convert` docker-py's argument forms. Nothing here decides anything about
containers: the daemon's verbs do.
"""
