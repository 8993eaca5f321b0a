"""The verbs of images, one a file, over the store in `minidock.graph`. Imports `base` and `record`."""
