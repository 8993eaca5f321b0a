"""The verbs of images, one a file: `ls`, `inspect`, `history`, `tag`, `rmi`, `load`, `import_`, `bootstrap`, `prune`.

The store is `minidock.graph`; here it is asked, in the Engine API's shapes, together with the containers that use an image.
Imports `base`, `request` and `record`.
"""
