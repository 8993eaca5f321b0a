"""The exception tree, written out: HTTP statuses and exit codes are docker's, and an errno is kept."""

from __future__ import annotations

import errno

from minidock import errors

STATUS = {
    "NotModified": 304, "InvalidParameter": 400, "Forbidden": 403, "NotFound": 404, "ContainerNotFound": 404,
    "ImageNotFound": 404, "NetworkNotFound": 404, "VolumeNotFound": 404, "ExecNotFound": 404, "Conflict": 409,
    "SystemFault": 500, "StartError": 500, "CommandNotExecutable": 500, "CommandNotFound": 500, "NotSupported": 501,
    "Unavailable": 503, "APIError": 500,
}  # fmt: skip
EXIT = {"CommandNotExecutable": 126, "CommandNotFound": 127}


def test_statuses_and_exit_codes() -> None:
    ours = [c for c in errors.tree() if c.__module__ == "minidock.errors"]
    assert {c.__name__: c.status_code for c in ours if issubclass(c, errors.APIError)} == STATUS
    assert {c.__name__: c.exit_code for c in ours if c.exit_code != 125} == EXIT


def test_a_fault_keeps_its_errno_and_path() -> None:
    full = errors.SystemFault.from_oserror("write blob", OSError(errno.ENOSPC, "x", "/there"))
    assert (full.errno, full.path, full.step) == (errno.ENOSPC, "/there", "write blob")
    assert full.explanation == "write blob /there: no space left on device"
    assert errors.SystemFault.from_oserror("look", OSError("odd")).explanation == "look: odd"


def test_whose_fault_it_is() -> None:
    assert errors.Conflict("x").is_client_error() and not errors.Conflict("x").is_server_error()
    assert errors.Unavailable("x").is_server_error() and errors.Unavailable("x").is_error()
    assert not errors.NotModified("x").is_error()
