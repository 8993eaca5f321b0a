"""The verbs of volumes, one a file: what ``docker volume`` does.

What a volume is, and who uses it, is in `record.volumes`; here they are shown. Imports every room below.
"""
