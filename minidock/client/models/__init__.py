"""The objects of docker-py's high-level client: containers, images, networks, each with its collection.

A model holds what the Engine API said of one object (`attrs`) and asks the low-level client for everything else, so that the
same objects work over a real Docker. `run` is ``containers.run``, the one method with a story of its own.

May import: what `client` may; here it is `client.api` and `client.types` alone, and `daemon.run` for the warm path.
"""
