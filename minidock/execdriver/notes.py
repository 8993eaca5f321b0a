"""Records of what happened to containers: engines and shims write into one file, in one form."""

from minidock.shim.notes import note as note
