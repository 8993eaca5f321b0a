"""What is due when a run has ended, and who does it.

Imports `base`, `request`, `record`; a restart climbs to `containers.start`.
"""
