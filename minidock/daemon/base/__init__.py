"""What every room stands on: where things lie on disk, which process is meant, time, sleeping until a folder changes, and how a
verb tells of a fault. Imports nothing of the other rooms."""
