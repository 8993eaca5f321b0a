"""All faults, from the bottom layer to the top one."""

from __future__ import annotations

from tests.faults import clients, containers, engine, images, kernel, lab, network, shims

FAULTS = (
    *kernel.FAULTS,
    *containers.FAULTS,
    *shims.FAULTS,
    *images.FAULTS,
    *network.FAULTS,
    *engine.FAULTS,
    *clients.FAULTS,
    *lab.FAULTS,
)
