"""The objects of docker-py's high-level client: containers, images, networks, each with its collection."""
