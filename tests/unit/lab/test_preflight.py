"""The preflight table as data: what it shows, and what it says of a missing feature."""

from __future__ import annotations

from minidock.lab.preflight import Feature, Report

FEATURES = (
    Feature("root", True, "effective user id 0", "sudo"),
    Feature("aufs", False, "not in <this> kernel", "overlay takes its place"),
    Feature("swap", False, "none configured", "swapon /swapfile"),
)


def test_missing_says_how() -> None:
    report = Report(FEATURES, needs=("root",))
    assert [f.name for f in report.missing] == ["aufs", "swap"]
    assert report.blocking == []
    assert report.verdict() == "this chapter can run on this machine: PASS"
    assert "→ overlay takes its place" in str(report)
    assert "swapon /swapfile" in report._repr_html_()


def test_a_needed_feature_blocks_and_says_so() -> None:
    report = Report(FEATURES, needs=("root", "swap"))
    assert report.verdict() == "this chapter can run on this machine: FAIL\n  swap: swapon /swapfile"


def test_html_is_escaped() -> None:
    assert "<this>" not in Report(FEATURES)._repr_html_()


def test_has() -> None:
    """A chapter learns whether the machine has what it needs."""
    assert Report(FEATURES).has("root")
    assert not Report(FEATURES).has("swap")
