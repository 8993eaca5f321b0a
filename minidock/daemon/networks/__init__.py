"""The verbs of networks, one a file: what ``docker network`` does.

The drivers are in `minidock.networkdriver`, what a container has of them in `record.network`; here they are shown. Imports
every room below.
"""
