"""--cap-add, --cap-drop, --privileged: which names come out (moby oci/caps TweakCapabilities)."""

from __future__ import annotations

import pytest

from minidock.errors import InvalidParameter
from minidock.libcontainer import capabilities
from minidock.libcontainer.capabilities import ALL, DEFAULT, NUMBER, for_container


@pytest.fixture(autouse=True)
def machine_with_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the names become must not depend on the machine."""
    monkeypatch.setattr(capabilities, "available", lambda: ALL)


def bounding(add: list[str], drop: list[str], privileged: bool = False) -> set[str]:
    return set(for_container(add, drop, privileged)[0].bounding)


def test_the_numbers_are_the_kernels() -> None:
    assert (NUMBER["CHOWN"], NUMBER["SYS_ADMIN"], NUMBER["MKNOD"], NUMBER["CHECKPOINT_RESTORE"]) == (0, 21, 27, 40)
    assert len(ALL) == len(set(ALL)) == 41


def test_default_is_dockers_fourteen() -> None:
    sets, warnings = for_container()
    assert sets.bounding == sets.effective == sets.permitted == DEFAULT
    assert len(set(DEFAULT)) == 14
    assert (sets.inheritable, sets.ambient, warnings) == ((), (), [])


@pytest.mark.parametrize(
    ("add", "drop", "expected"),
    [
        (["net_admin"], [], {*DEFAULT, "NET_ADMIN"}),
        (["CAP_NET_ADMIN"], ["Cap_Chown"], {*DEFAULT, "NET_ADMIN"} - {"CHOWN"}),
        ([], ["ALL"], set()),
        (["CHOWN"], ["all"], {"CHOWN"}),
        (["ALL"], [], set(ALL)),
        (["ALL"], ["SYS_ADMIN"], set(ALL) - {"SYS_ADMIN"}),
        (["ALL", "CHOWN"], ["ALL"], set(ALL)),
        (["MKNOD"], ["MKNOD"], set(DEFAULT)),
    ],
)
def test_add_and_drop(add: list[str], drop: list[str], expected: set[str]) -> None:
    assert bounding(add, drop) == expected


def test_privileged_is_all_whatever_is_dropped() -> None:
    assert bounding([], ["CHOWN"], privileged=True) == set(ALL)


@pytest.mark.parametrize(
    ("add", "drop", "message"),
    [
        (["foo"], [], 'invalid CapAdd: unknown capability: "CAP_FOO"'),
        ([], ["CAP_BAR"], 'invalid CapDrop: unknown capability: "CAP_BAR"'),
        ([""], [], 'invalid CapAdd: unknown capability: "CAP_"'),
    ],
)
def test_unknown_names_in_dockers_words(add: list[str], drop: list[str], message: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        for_container(add, drop)
    assert str(caught.value) == message


def test_what_the_machine_lacks_is_left_out_with_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capabilities, "available", lambda: tuple(n for n in ALL if n != "SYS_RESOURCE"))
    sets, warnings = for_container(["sys_resource"])
    assert "SYS_RESOURCE" not in sets.bounding
    assert len(warnings) == 1 and "CAP_SYS_RESOURCE" in warnings[0]
    assert for_container(privileged=True)[1] == []  # "all" means all there are


def test_mask_and_names_are_inverse() -> None:
    assert capabilities.mask(("CHOWN", "NET_RAW")) == 1 | 1 << 13
    assert capabilities.names(capabilities.mask(DEFAULT)) == tuple(n for n in ALL if n in DEFAULT)
