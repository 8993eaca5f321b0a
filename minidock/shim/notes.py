"""Records of what happened to containers: one line of JSON each, at the end of one file, by whoever saw it happen.

::

    ROOT/records.jsonl      {"timeNano": 1427708291123456789, "ID": "<64 hex>", "Action": "oom", "Attributes": {…}}
    ROOT/records.jsonl.1    the older half

Engines write here what they do (``daemon/record/records.py``); a shim writes what only it sees, with no engine there. A line is
one write(2) to a file opened with O_APPEND, so that lines of several writers do not mix (write(2): the offset is set
and the data written in one step). Nobody waits for the disk.
"""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Mapping

MAX_SIZE = 1 << 20  # bytes; then the file becomes the older half


def note(path: str, id: str, action: str, attributes: Mapping[str, str]) -> None:
    """Append one record to the file `path`. On a full disk it is lost, as what it tells of has happened already.

    Raises OSError for any other fault.
    """
    line = json.dumps(
        {"timeNano": time.time_ns(), "ID": id, "Action": action, "Attributes": dict(attributes)}, separators=(",", ":")
    )
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, line.encode() + b"\n")
        # Two writers may come here at once, and the second must not rename a file that was just begun.
        if os.fstat(fd).st_size > MAX_SIZE and os.path.samestat(os.stat(path), os.fstat(fd)):
            os.rename(path, f"{path}.1")
    except FileNotFoundError:  # another writer was faster, and nobody has begun a new file yet
        return
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
    finally:
        os.close(fd)
