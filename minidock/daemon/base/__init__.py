"""What every room stands on: where things lie on disk, which process is meant, time, sleeping until a folder changes, and how a
verb tells of a fault.

`paths` names every folder and file of an instance, `proc` a process so that no other is taken for it, `timestamps` are
docker's, `watch` waits for a change, `rmtree` deletes what is ours, `verb` makes one SystemFault of what a verb raises.
Imports nothing of the other rooms.
"""
