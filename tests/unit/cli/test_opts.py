"""The values of flags: tables of docker's own cases, and properties that hold for any text."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidock.cli.grammar import values
from minidock.cli.opts import BadValue, OptionError, container, envfile, filters, mounts, sizes, times


@pytest.mark.parametrize(
    ("text", "bytes_"),
    [
        ("0", 0),
        ("32", 32),
        ("32b", 32),
        ("32K", 32 << 10),
        ("32kb", 32 << 10),
        ("32KiB", 32 << 10),
        ("1.5g", 3 << 29),
        ("32 mb", 32 << 20),
        ("1t", 1 << 40),
        ("1P", 1 << 50),
        (".5k", 512),
        ("1e3", 1000),
    ],
)
def test_sizes(text: str, bytes_: int) -> None:
    """-m 64m and all its spellings are the bytes that docker makes of them."""
    assert sizes.ram_in_bytes(text) == bytes_


@pytest.mark.parametrize("text", ["", "k", "-1", "-1k", "1zb", "1kib2", "1..2", "1.2.3m", "0x1", "1ki", "inf", "nan", "1e99"])
def test_no_sizes(text: str) -> None:
    """What is no size is refused, not guessed."""
    with pytest.raises(BadValue):
        sizes.ram_in_bytes(text)


@given(st.integers(0, (1 << 53) - 1), st.sampled_from(["", "b", "k", "M", "gB", "KiB"]))
def test_whole_sizes_are_exact(number: int, unit: str) -> None:
    factor = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}[unit[:1].lower()]
    if number * factor < 1 << 63:
        assert sizes.ram_in_bytes(f"{number}{unit}") == number * factor


@pytest.mark.parametrize(
    ("text", "nano"), [("1", 10**9), ("1.5", 1_500_000_000), ("0.000000001", 1), ("1/4", 250_000_000), ("2e0", 2 * 10**9)]
)
def test_cpus(text: str, nano: int) -> None:
    """--cpus in billionths, exactly."""
    assert sizes.nano_cpus(text) == nano


@given(st.integers(*values.INT64))
def test_integers_in_every_base(number: int) -> None:
    sign, magnitude = ("-" if number < 0 else ""), abs(number)
    for text in (f"{number}", f"{sign}0x{magnitude:x}", f"{sign}0o{magnitude:o}", f"{sign}0b{magnitude:b}"):
        assert values.int64(text) == number


PARSERS = [
    *(sizes.ram_in_bytes, sizes.memory_swap, sizes.nano_cpus, sizes.weight_device, sizes.throttle_bps, sizes.throttle_iops),
    *(container.ulimit, container.extra_host, container.ip_address, container.dns_search, container.sysctl, container.stream),
    *(container.device_rule, container.network, container.restart_policy, container.mac_address, container.device),
    *(envfile.environment, envfile.label, mounts.mount, filters.one, values.int64, values.uint16, values.boolean),
]


@pytest.mark.parametrize("parser", PARSERS, ids=lambda p: p.__name__)
@given(text=st.one_of(st.text(max_size=40), st.text("0123456789:=/.,-+ abkmrwx\"'", max_size=30)))
def test_any_text_is_a_value_or_told(parser: Any, text: str) -> None:
    try:
        parser(text)
    except (BadValue, OptionError) as error:
        assert str(error)


@pytest.mark.parametrize(
    ("text", "soft", "hard"),
    [("nofile=512:1024", 512, 1024), ("nproc=5", 5, 5), ("core=-1", -1, -1), ("cpu=3:-1", 3, -1), ("core=0:0", 0, 0)],
)
def test_ulimits(text: str, soft: int, hard: int) -> None:
    """--ulimit with one limit or two."""
    assert container.ulimit(text) == {"Name": text.partition("=")[0], "Soft": soft, "Hard": hard}


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("a:1.2.3.4", "a:1.2.3.4"),
        ("a=1.2.3.4", "a:1.2.3.4"),
        ("a:::1", "a:::1"),
        ("a=[::1]", "a:::1"),
        ("a:host-gateway", "a:host-gateway"),
    ],
)
def test_extra_hosts(text: str, host: str) -> None:
    """--add-host, with = or :, for IPv6 too."""
    assert container.extra_host(text) == host


@pytest.mark.parametrize(
    ("text", "host", "inside", "mode"),
    [
        ("/dev/x", "/dev/x", "/dev/x", "rwm"),
        ("/dev/x:/dev/y", "/dev/x", "/dev/y", "rwm"),
        ("/dev/x:rw", "/dev/x", "/dev/x", "rw"),
        ("/dev/x:/dev/y:r", "/dev/x", "/dev/y", "r"),
        ("/dev/x:/dev/../dev/y", "/dev/x", "/dev/y", "rwm"),
    ],
)
def test_devices(text: str, host: str, inside: str, mode: str) -> None:
    """--device with one, two or three parts."""
    assert container.device(text) == {"PathOnHost": host, "PathInContainer": inside, "CgroupPermissions": mode}


@pytest.mark.parametrize("text", ["/dev/x:/dev/y:q", "/dev/x:y", ":/dev/y", "a:b:c:d", "/dev/x:/dev/y:rr"])
def test_no_devices(text: str) -> None:
    """A device without a path, or with an unknown access, is refused."""
    with pytest.raises(OptionError):
        container.device(text)


def test_mounts() -> None:
    """--mount's keys in all their spellings."""
    assert mounts.mount("type=bind,source=/a,target=/b,readonly,bind-propagation=rslave") == {
        "Type": "bind",
        "Source": "/a",
        "Target": "/b",
        "ReadOnly": True,
        "BindOptions": {"Propagation": "rslave"},
    }
    assert mounts.mount("type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=1770") == {
        "Type": "tmpfs",
        "Source": "",
        "Target": "/t",
        "TmpfsOptions": {"SizeBytes": 1 << 20, "Mode": 0o1770},
    }
    assert mounts.mount('type=bind,"src=/a,b",dst=/c')["Source"] == "/a,b"


@given(st.lists(st.text(st.characters(exclude_characters="\r\n\x00", exclude_categories=["Cs"])), min_size=1))
def test_csv_fields_come_back(fields: list[str]) -> None:
    line = ",".join('"' + field.replace('"', '""') + '"' for field in fields)
    assert mounts.csv_fields(line) == fields


def test_volumes() -> None:
    """-v: relative paths are made absolute, a name stays one, a single path is anonymous."""
    binds, volumes = mounts.split_volumes(["/a:/b", "./c:/d:ro", "/anonymous", "name:/e"])
    assert binds == ["/a:/b", f"{os.getcwd()}/c:/d:ro", "name:/e"]
    assert volumes == {"/anonymous": {}}


def test_environment_comes_from_files_then_flags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OURS", "from us")
    monkeypatch.delenv("ABSENT", raising=False)
    file = tmp_path / "env"
    file.write_bytes(b"\xef\xbb\xbfFIRST=1\n# a comment\n\n  LEADING= kept # too \nOURS\nABSENT\nEMPTY=\r\n")
    assert envfile.read_environment([str(file)], ["LAST=2"]) == [
        "FIRST=1",
        "LEADING= kept # too ",
        "OURS=from us",
        "EMPTY=",
        "LAST=2",
    ]
    assert (envfile.environment("OURS"), envfile.environment("ABSENT")) == ("OURS=from us", "ABSENT")


def test_labels(tmp_path: Path) -> None:
    """Label files as docker reads them: no quotes are taken away, the command line wins."""
    file = tmp_path / "labels"
    file.write_text('one="quoted"\n# comment\ntwo\nthree=a=b\n')
    assert envfile.read_labels([str(file)], ["two=2"]) == {"one": '"quoted"', "two": "2", "three": "a=b"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a b=c\n", "variable 'a b' contains whitespaces"),
        (b"=c\n", "no variable name on line '=c'"),
        (b"\xff=c\n", "invalid utf8 bytes at line 1: [255 61 99]"),
    ],
)
def test_bad_env_files(tmp_path: Path, content: bytes, words: str) -> None:
    file = tmp_path / "env"
    file.write_bytes(content)
    with pytest.raises(OptionError, match="invalid env file") as error:
        envfile.read_file(str(file))
    assert str(error.value) == f"invalid env file ({file}): {words}"


def test_security_options(tmp_path: Path) -> None:
    """--security-opt: a profile's file is read here, and the engine gets its text."""
    profile = tmp_path / "profile.json"
    profile.write_text('{ "defaultAction":\n "SCMP_ACT_ALLOW" }')
    options = ["no-new-privileges", "seccomp=unconfined", f"seccomp={profile}", "apparmor:x", "systempaths=unconfined"]
    found, unconfined = container.security_options(options)
    assert found == ["no-new-privileges", "seccomp=unconfined", 'seccomp={"defaultAction":"SCMP_ACT_ALLOW"}', "apparmor:x"]
    assert unconfined
    profile.write_text("no json")
    with pytest.raises(OptionError, match="compacting json for seccomp profile"):
        container.security_options([f"seccomp={profile}"])


def test_points_in_time() -> None:
    assert times.point("since", "") is None
    assert times.point("since", "1700000000.5") == 1700000000.5
    assert times.point("since", "2013-01-02T13:23:37Z") == 1357133017.0
    assert abs(times.point("since", "1h30m") - (time.time() - 5400)) < 5  # type: ignore[operator]
    with pytest.raises(OptionError, match="failed to parse value as time or duration"):
        times.point("since", "soon")


@pytest.mark.parametrize(
    ("text", "seconds"), [("1h2m3s", 3723), ("1.5m", 90), ("-2ms", -0.002), ("5", None), ("1h x", None), ("", None)]
)
def test_durations(text: str, seconds: float | None) -> None:
    """Go's durations, as --since takes them."""
    assert times.duration(text) == pytest.approx(seconds)


def test_filters() -> None:
    """--filter: names in any case, several values of one name."""
    assert filters.collect(map(filters.one, ["Status=a", "status = b", "label=x=y", ""])) == {
        "status": ["a", "b"],
        "label": ["x=y"],
    }


def test_boundaries_of_sizes_and_weights() -> None:
    assert sizes.memory_swap("-1") == -1 and sizes.memory_swap("1g") == 1 << 30
    for weight in (0, 10, 1000):
        assert sizes.weight_device(f"/dev/sda:{weight}") == {"Path": "/dev/sda", "Weight": weight}
    for weight in (9, 1001):
        with pytest.raises(BadValue):
            sizes.weight_device(f"/dev/sda:{weight}")
