"""What `trace()` prints: one printable line a step, whatever the step was done to."""

from hypothesis import given
from hypothesis import strategies as st

from minidock.linux import trace


@trace.traced
def thin(*_args: object) -> None:
    """Stands for any function of `minidock.linux`."""


def what_of(*args: object) -> str:
    tracer = trace.Tracer("engine")
    before = trace.install(tracer)
    try:
        thin(*args)
    finally:
        trace.install(before)
    return tracer.steps[0].what


def test_a_filter_is_told_by_its_length() -> None:
    """README's own example printed the seccomp program's bytes to the terminal."""
    assert what_of(1, b"\x20\x00\x00\x00\x04\x00\x00\x00") == "1 <8 bytes>"


def test_a_path_is_shown_as_far_as_it_can_be() -> None:
    assert what_of(b"/a/b\xff\n", "/tmp/\x1b[31mred") == r"/a/b\xff\n /tmp/\x1b[31mred"
    assert what_of("/tmp/naïve 目录") == "/tmp/naïve 目录"


def test_a_bracketed_step_is_printable_too() -> None:
    tracer = trace.Tracer("engine")
    before = trace.install(tracer)
    try:
        with trace.step("rename", "/x\ty\udcfe"):
            pass
    finally:
        trace.install(before)
    assert tracer.steps[0].what == r"/x\ty\xfe"


def test_a_long_argument_is_cut() -> None:
    assert len(what_of("x" * 10_000)) == 120


@given(st.lists(st.one_of(st.binary(), st.text(), st.integers(), st.none()), max_size=6))
def test_always_one_printable_line(args: list[object]) -> None:
    assert what_of(*args).isprintable()
