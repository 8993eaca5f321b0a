"""The leak check itself: it must see what is left (other kinds: ``tests/linux/test_leaks.py``)."""

import os
from pathlib import Path

from tests import leaks


def test_an_open_descriptor_is_seen(tmp_path: Path) -> None:
    before = leaks.snapshot()
    assert leaks.settled(before, patience=0.2) == []
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        assert [line for line in leaks.settled(before, patience=0.1) if str(tmp_path) in line]
    finally:
        os.close(fd)
    assert not [item for item in leaks.snapshot() - before if str(tmp_path) in item.text]
