"""Archives that want out. Each must leave everything outside its root as it was, and be refused where docker refuses it."""

from __future__ import annotations

import io
import os
import stat
import struct
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minidock.errors import InvalidParameter, MinidockError, NotSupported, SystemFault
from minidock.graph import archive
from minidock.graph.archive import Limits, TarStream, Whiteouts

from .archives import member, tar

SYM, LNK, DIR, CHR, BLK, FIFO = (
    tarfile.SYMTYPE,
    tarfile.LNKTYPE,
    tarfile.DIRTYPE,
    tarfile.CHRTYPE,
    tarfile.BLKTYPE,
    tarfile.FIFOTYPE,
)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A root to unpack into, among things that must stay as they are."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/canary").write_text("alive")
    (tmp_path / "root").mkdir()
    before = everything(tmp_path)
    yield tmp_path / "root"
    assert everything(tmp_path) == before


def everything(top: Path) -> list[tuple[object, ...]]:
    """All that lies outside the root: names, contents, owners, modes, number of links, times."""
    found: list[tuple[object, ...]] = []
    for path in [top, top / "outside", *sorted((top / "outside").rglob("*"))]:
        s = path.lstat()
        found.append((str(path), s.st_mode, s.st_uid, s.st_nlink, s.st_size, path.read_text() if path.is_file() else ""))
    found.append(tuple(sorted(os.listdir(top))))
    return found


def unpack(root: Path, data: bytes, whiteouts: Whiteouts = Whiteouts.OVERLAY, **options: object) -> archive.Extracted:
    return archive.extract(TarStream(io.BytesIO(data)), root, whiteouts=whiteouts, devices=True, **options)  # type: ignore[arg-type]


REFUSED = {
    "climb": [member("../outside/canary", data=b"dead")],
    "climb later": [member("a/b/../../../outside/canary", data=b"dead")],
    "climb from /": [member("/../outside/canary", data=b"dead")],
    "hard link out": [member("link", LNK, linkname="../outside/canary"), member("link", data=b"dead")],
    "hard link to what is not there": [member("link", LNK, linkname="/etc/passwd")],
    "hard link through a link": [member("out", SYM, linkname="/outside"), member("x", LNK, linkname="out/canary")],
    "hard link to itself": [member("x", data=b"1"), member("x", LNK, linkname="x")],
    "hard link to a directory": [member("d", DIR), member("x", LNK, linkname="d")],
    "relative link out": [member("out", SYM, linkname="../outside"), member("out/canary", data=b"dead")],
    "deep relative link out": [member("a/b/out", SYM, linkname="../../../outside")],
    "empty link": [member("x", SYM, linkname="")],
    "the root as a file": [member(".", data=b"x")],
    "whiteout of the parent": [member("a/.wh...")],
    "whiteout of the directory": [member("a/.wh..")],
    "whiteout of nothing": [member(".wh.")],
    "a whiteout in disguise": [member("etc", CHR, devmajor=0, devminor=0)],
    "an owner that cannot be": [member("x", uid=1 << 33)],
    "a file used as a directory": [member("x", data=b"1"), member("x/y", data=b"2")],
    "a link to nowhere used as a directory": [member("x", SYM, linkname="/nowhere"), member("x/y", data=b"2")],
    "a loop of links": [member("a", SYM, linkname="b"), member("b", SYM, linkname="a"), member("a/x", data=b"1")],
    "an unknown type": [member("x", b"Z", size=0)],
    "a name too long": [member("n" * 300, data=b"x")],
    "a path too long": [member("/".join(["d" * 100] * 50), data=b"x")],
}


@pytest.mark.parametrize("members", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("whiteouts", [Whiteouts.OVERLAY, Whiteouts.APPLY])
def test_refused(place: Path, members: list[tuple[tarfile.TarInfo, bytes]], whiteouts: Whiteouts) -> None:
    """An archive that would write outside of its layer, or with a forged header, is refused as a whole."""
    if members[0][0].type == b"Z":
        members[0][0].size = 0
    with pytest.raises(InvalidParameter):
        unpack(place, tar(*members), whiteouts)


HARMLESS = {
    "absolute": [member("/outside/canary", data=b"mine")],
    "absolute link, then through it": [member("out", SYM, linkname="/outside"), member("out/canary", data=b"mine")],
    "link to /, then through it": [
        member("r", SYM, linkname="/"),
        member("outside", DIR),
        member("r/outside/canary", data=b"m"),
    ],
    "directory replaced by a link": [member("d", DIR), member("d", SYM, linkname="/outside"), member("d/canary", data=b"m")],
    "link replaced by a directory": [member("d", SYM, linkname="/outside"), member("d", DIR), member("d/canary", data=b"m")],
    "link replaced by a file": [member("f", SYM, linkname="/outside/canary"), member("f", data=b"mine")],
    "mode through a link": [member("f", SYM, linkname="/outside/canary", mode=0o777, uid=5)],
    "hard link to a link": [
        member("s", SYM, linkname="/outside/canary"),
        member("h", LNK, linkname="s"),
        member("h", data=b"m"),
    ],
    "whiteout through a link": [member("d", SYM, linkname="/outside"), member("outside", DIR), member("d/.wh.canary")],
    "opaque through a link": [member("d", SYM, linkname="/outside"), member("outside", DIR), member("d/.wh..wh..opq")],
    "aufs's own": [member(".wh..wh.plnk/1.2", data=b"x"), member(".wh..wh.aufs", data=b"x"), member("a/.wh..wh.orph/x")],
    "overlay's own attributes": [
        member("d", DIR, pax_headers={"SCHILY.xattr.trusted.overlay.redirect": "/../../outside"}),
        member("e", DIR, pax_headers={"SCHILY.xattr.user.overlay.opaque": "y", "SCHILY.xattr.security.selinux": "x"}),
    ],
}


@pytest.mark.parametrize("members", HARMLESS.values(), ids=HARMLESS)
@pytest.mark.parametrize("whiteouts", [Whiteouts.OVERLAY, Whiteouts.APPLY])
def test_harmless(place: Path, members: list[tuple[tarfile.TarInfo, bytes]], whiteouts: Whiteouts) -> None:
    """An odd archive is unpacked, and can still smuggle in no overlay attribute."""
    (place / "outside").mkdir()
    unpack(place, tar(*members), whiteouts)
    for path in place.rglob("*"):
        names = [] if path.is_symlink() else os.listxattr(path)
        assert not [n for n in names if n != "trusted.overlay.opaque"]


def test_the_canary_can_die(tmp_path: Path) -> None:
    """The control: a plain tar does what the guarded one must not."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/canary").write_text("alive")
    (tmp_path / "root").mkdir()
    before = everything(tmp_path)
    data = tar(*REFUSED["relative link out"])
    with tarfile.open(fileobj=io.BytesIO(data)) as plain:
        plain.extractall(tmp_path / "root")
    assert everything(tmp_path) != before


def test_devices_only_when_asked(place: Path) -> None:
    data = tar(member("null", CHR, devmajor=1, devminor=3, mode=0o666), member("fifo", FIFO), member("b", BLK, devmajor=7))
    for device in (member("c", CHR, devmajor=1, devminor=3), member("b", BLK, devmajor=7)):  # each alone: one hides the other
        with pytest.raises(InvalidParameter, match="device node"):
            archive.extract(TarStream(io.BytesIO(tar(device))), place)
        assert list(place.iterdir()) == []
    unpack(place, data)
    assert (place / "null").stat().st_rdev == os.makedev(1, 3)
    assert stat.S_ISFIFO((place / "fifo").stat().st_mode)


def test_bombs(place: Path) -> None:
    """A small archive cannot fill the disk: bytes, entries and free space are bounded."""
    big = tar(*(member(f"f{n}", data=bytes(1000)) for n in range(100)))
    with pytest.raises(InvalidParameter, match="more than 50000 bytes"):
        unpack(place, big, limits=Limits(bytes=50_000))
    with pytest.raises(InvalidParameter, match="more than 50 entries"):
        unpack(place, big, limits=Limits(entries=50))
    with pytest.raises(SystemFault, match="no space left"):
        unpack(place, big, limits=Limits(keep_free=1 << 60))
    assert unpack(place, big).size == 100_000


def test_a_sparse_giant_takes_no_room(place: Path) -> None:
    """8 TiB of zeros, as GNU tar's format 1.0 says it: written as a hole, counted as what it is."""
    head = b"1\n0\n4\n".ljust(512, b"\0")
    pax = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "giant", "GNU.sparse.realsize": str(8 << 40)}
    unpack(place, tar(member("x", data=head + b"data", pax_headers=pax)))
    status = (place / "giant").stat()
    assert status.st_size == 8 << 40
    assert status.st_blocks * 512 < 1 << 20
    with open(place / "giant", "rb") as f:
        assert f.read(6) == b"data\0\0"


def header(data: bytes, offset: int, value: bytes) -> bytes:
    """`data` with a header field overwritten, and the checksum made right again."""
    block = bytearray(data[:512])
    block[offset : offset + len(value)] = value
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + data[512:]


BROKEN = {
    "not a tar": b"hello, world " * 100,
    "short": tar(member("x", data=b"y" * 2000))[:1000],
    "bad checksum": b"\1" + tar(member("x"))[1:],
    "garbage after a good member": tar(member("x"))[:512] + b"garbage!" * 64,
    "negative size": header(tar(member("x")), 124, b"\xff" * 12),
    "negative size in pax": tar(member("x", data=b"1", pax_headers={"size": "-4096"})),
    "an endless name": header(
        tar(member("././@LongLink", tarfile.GNUTYPE_LONGNAME)), 124, b"\x80" + struct.pack(">3xq", 1 << 40)
    ),
    "an endless pax header": header(tar(member("x", tarfile.XHDTYPE)), 124, b"\x80" + struct.pack(">3xq", 1 << 40)),
    "a pax record that lies": tar(member("x", tarfile.XHDTYPE, data=b"999999999 path=x\n"), member("y")),
    "broken gzip": b"\x1f\x8b\x08" + b"\0" * 100,
    "broken bzip2": b"BZh9" + b"\0" * 100,
    "broken xz": b"\xfd7zXZ\0" + b"\0" * 100,
    "a sparse map without end": tar(
        member("x", data=b"9" * 512, pax_headers={"GNU.sparse.major": "1", "GNU.sparse.minor": "0"})
    ),
    "a sparse map backwards": tar(
        member(
            "x",
            data=b"2\n9000\n4\n0\n4\n".ljust(512, b"\0") + b"a" * 8,
            pax_headers={
                "GNU.sparse.major": "1",
                "GNU.sparse.minor": "0",
                "GNU.sparse.name": "x",
                "GNU.sparse.realsize": "100",
            },
        )
    ),
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_broken_bytes_are_the_users_mistake(place: Path, data: bytes) -> None:
    with pytest.raises(InvalidParameter, match="invalid archive"):
        stream = TarStream(archive.decompressed(io.BytesIO(data)))
        archive.extract(stream, place)


def test_zstd_is_said(place: Path) -> None:
    with pytest.raises(NotSupported, match="zstd"):
        archive.decompressed(io.BytesIO(b"\x28\xb5\x2f\xfd" + bytes(20)))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=600), st.integers(0, 3000))
def test_noise(tmp_path: Path, noise: bytes, at: int) -> None:
    """A good archive with noise in it: unpacked or refused, never anything else."""
    good = bytearray(
        tar(
            member("d", DIR),
            member("d/f", data=b"x" * 700),
            member("l", SYM, linkname="d/f"),
            member("p", pax_headers={"mtime": "1.5"}),
        )
    )
    good[at : at + len(noise)] = noise
    (tmp_path / "root").mkdir(exist_ok=True)
    with suppress(MinidockError):
        unpack(tmp_path / "root", bytes(good))


NAMES = st.sampled_from(
    ["a", "b", "a/b", "a/c", "../x", "/a", ".", "a/..", ".wh.a", "a/.wh.b", ".wh..wh..opq", "a/.wh..wh..opq", ".wh..wh.plnk"]
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            NAMES,
            st.sampled_from([tarfile.REGTYPE, DIR, SYM, LNK, FIFO]),
            st.sampled_from(["a", "/", "../outside", "/outside/canary", "b/../..", "."]),
        ),
        max_size=8,
    ),
    st.sampled_from(list(Whiteouts)),
)
def test_any_sequence_of_members(
    tmp_path_factory: pytest.TempPathFactory, entries: list[tuple[str, bytes, str]], whiteouts: Whiteouts
) -> None:
    top = tmp_path_factory.mktemp("any")
    (top / "outside").mkdir()
    (top / "outside/canary").write_text("alive")
    (top / "root").mkdir()
    before = everything(top)
    data = tar(
        *(member(n, k, b"x" if k == tarfile.REGTYPE else b"", linkname=t if k in (SYM, LNK) else "") for n, k, t in entries)
    )
    with suppress(MinidockError):
        unpack(top / "root", data, whiteouts)
    assert everything(top) == before
