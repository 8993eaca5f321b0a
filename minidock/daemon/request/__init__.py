"""From what a client sent to what libcontainer gets: decoded, checked in docker's words, completed, merged with the image, and
made a `Config`. Knows no container. Imports `base`."""
