"""The json-file log against Go's rules, which a slow and plain model here spells out byte by byte."""

from __future__ import annotations

import errno
import json
import os
import re
import resource
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidock.shim import jsonlog
from minidock.shim.jsonlog import PARTIAL, JSONFile, escape, timestamp


def go_escape(data: bytes) -> str:
    """ffjsonWriteJSONBytesAsString of moby's jsonlogbytes.go, one rune at a time."""
    out, i = [], 0
    while i < len(data):
        byte = data[i]
        if byte < 0x80:
            char = chr(byte)
            named = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r"}.get(char)
            out.append(named or (f"\\u00{byte:02x}" if byte < 0x20 or char in "<>&" else char))
            i += 1
            continue
        for size in (2, 3, 4):
            try:
                rune = data[i : i + size].decode()
            except UnicodeDecodeError:
                continue
            out.append({"\u2028": "\\u2028", "\u2029": "\\u2029"}.get(rune, rune))
            i += size
            break
        else:
            out.append("\\ufffd")
            i += 1
    return "".join(out)


def read(path: os.PathLike[str] | str) -> list[dict[str, str]]:
    with open(path, "rb") as file:
        return [json.loads(line) for line in file]


@given(st.one_of(st.binary(), st.text().map(str.encode), st.text('<>&"\\\u2028\ufffd\t\x7f\ra', max_size=20).map(str.encode)))
def test_escape_is_gos(data: bytes) -> None:
    assert escape(data).replace(b"\n", b"\\n").decode() == go_escape(data)


def test_one_line_to_the_byte(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(jsonlog, "timestamp", lambda: "2015-03-30T09:38:11.123456789Z")
    log = JSONFile(str(tmp_path / "log"))
    log.write("stdout", b'a <b> & "c" \\ \t\x1b[0m\r\n')
    log.close()
    assert (tmp_path / "log").read_bytes() == (
        rb'{"log":"a \u003cb\u003e \u0026 \"c\" \\ \u0009\u001b[0m\r\n","stream":"stdout",'
        rb'"time":"2015-03-30T09:38:11.123456789Z"}'
        b"\n"
    )


def test_timestamp_cuts_zeros() -> None:
    assert timestamp(1427708291123456789) == "2015-03-30T09:38:11.123456789Z"
    assert timestamp(1427708291120000000) == "2015-03-30T09:38:11.12Z"
    assert timestamp(1427708291000000000) == "2015-03-30T09:38:11Z"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z", timestamp())


@given(
    st.lists(st.tuples(st.sampled_from(["stdout", "stderr"]), st.binary(max_size=40) | st.just(b"\n") | st.just(b"x" * 9000)))
)
def test_every_byte_however_the_reads_fell(tmp_path_factory, reads) -> None:
    path = tmp_path_factory.mktemp("log") / "log"
    log = JSONFile(str(path))
    for stream, data in reads:
        log.write(stream, data)
    log.close()
    entries = read(path)
    for stream in ("stdout", "stderr"):
        written = b"".join(data for name, data in reads if name == stream)
        pieces = [
            line[i : i + PARTIAL] for line in re.findall(rb"[^\n]*\n|[^\n]+", written) for i in range(0, len(line), PARTIAL)
        ]
        expected = [json.loads(f'"{go_escape(piece)}"') for piece in pieces]
        assert [e["log"] for e in entries if e["stream"] == stream] == expected


@pytest.mark.parametrize("length", [PARTIAL - 1, PARTIAL, PARTIAL + 1, 3 * PARTIAL + 5])
@pytest.mark.parametrize("step", [1000, PARTIAL, 1 << 16])
def test_long_lines_are_cut_at_16_kib(tmp_path, length, step) -> None:
    log = JSONFile(str(tmp_path / "log"))
    text = b"x" * length + b"\n" + b"y" * 10 + b"\nend"
    for i in range(0, len(text), step):
        log.write("stdout", text[i : i + step])
    log.close()
    logs = [e["log"] for e in read(tmp_path / "log")]
    cut, rest = divmod(length, PARTIAL)
    assert [len(entry) for entry in logs] == [PARTIAL] * cut + [rest + 1, 11, 3]
    assert logs[-1] == "end"


def test_rotation_keeps_max_file_files_and_their_order(tmp_path) -> None:
    log = JSONFile(str(tmp_path / "log"), max_size=1000, max_file=3)
    for i in range(200):
        log.write("stdout", b"%04d\n" % i)
    log.close()
    assert sorted(os.listdir(tmp_path)) == ["log", "log.1", "log.2"]
    kept = [int(e["log"]) for name in ("log.2", "log.1", "log") for e in read(tmp_path / name)]
    assert kept == list(range(kept[0], 200)) and kept[0] > 0
    for name in ("log.1", "log.2"):  # as docker: rotated by the entry after the one that reached the size
        assert 1000 <= (tmp_path / name).stat().st_size < 1000 + 100


def test_rotation_in_the_middle_of_one_read(tmp_path) -> None:
    log = JSONFile(str(tmp_path / "log"), max_size=1000, max_file=1000)
    log.write("stdout", b"".join(b"%05d\n" % i for i in range(1000)))
    log.close()
    names = sorted(os.listdir(tmp_path), key=lambda n: -int(n.partition(".")[2] or 0))
    assert len(names) > 50
    assert [int(e["log"]) for name in names for e in read(tmp_path / name)] == list(range(1000))


def test_max_file_one_starts_a_new_file(tmp_path) -> None:
    log = JSONFile(str(tmp_path / "log"), max_size=500, max_file=1)
    log.write("stdout", b"old\n" * 20)
    with open(tmp_path / "log", "rb") as reader:
        log.write("stdout", b"new\n" * 20)
        log.close()
        assert reader.read(), "a reader keeps the file it has"
    assert os.listdir(tmp_path) == ["log"]
    assert read(tmp_path / "log")[-1]["log"] == "new\n"


def test_appends_to_what_is_there(tmp_path) -> None:
    for text in (b"one\n", b"two\n"):
        log = JSONFile(str(tmp_path / "log"))
        log.write("stdout", text)
        log.close()
        log.close()
    assert [e["log"] for e in read(tmp_path / "log")] == ["one\n", "two\n"]


def test_a_full_buffer_is_an_entry_at_once(tmp_path: Path) -> None:
    """A progress bar of 16 KiB without a newline is in the log while the program runs."""
    log = JSONFile(str(tmp_path / "log"))
    log.write("stdout", b"x" * (PARTIAL - 1))
    assert (tmp_path / "log").read_bytes() == b""
    log.write("stdout", b"x")
    assert json.loads((tmp_path / "log").read_bytes())["log"] == "x" * PARTIAL
    log.close()


def test_what_containers_print_is_not_for_everybody(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        JSONFile(str(tmp_path / "log")).close()
    finally:
        os.umask(before)
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o640


def test_an_entry_that_found_no_room_is_not_there_in_part(tmp_path: Path) -> None:
    """The kernel takes a part of what is written, and then no more (here a limit of the file's size, else a full disk)."""
    path = tmp_path / "log"
    log = JSONFile(str(path))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        log.write("stdout", b"a line that takes some room\n" * 20)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    *lines, rest = path.read_bytes().split(b"\n")
    assert rest == b"" and lines
    assert all(json.loads(line)["log"] == "a line that takes some room\n" for line in lines)
    assert (log.lost, log.error) == (20 - len(lines), errno.EFBIG)
    log.write("stdout", b"more\n")
    log.close()
    assert json.loads(path.read_bytes().split(b"\n")[-2])["log"] == "more\n"
