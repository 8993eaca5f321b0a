"""What the browser's tests share: one ``./lab`` for all, a chapter open in JupyterLab, and how to find a cell in it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, sync_playwright

from minidock.daemon.system.teardown import teardown

LAB = Path(__file__).resolve().parents[2]
CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The state root of an instance for the server's kernels and for what a test asks of them: not the learner's."""
    root = tmp_path_factory.mktemp("browser") / "root"
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MINIDOCK_ROOT", str(root))
        yield root
    teardown(root)


@pytest.fixture(scope="session")
def address(root: Path) -> Iterator[str]:
    """The address that ``./lab`` prints."""
    server = subprocess.Popen(
        [LAB / "lab", "--port", "8899"], stdout=subprocess.PIPE, text=True, start_new_session=True, cwd="/"
    )
    assert server.stdout is not None
    try:
        for line in server.stdout:
            if found := re.search(r"http://\S+", line):
                yield found.group()
                break
        else:
            pytest.fail("./lab ended without printing an address")
    finally:
        os.killpg(server.pid, signal.SIGINT)
        server.wait(30)
        server.stdout.close()


@contextmanager
def chapter(address: str, name: str) -> Iterator[Page]:
    """The notebook `name`, open in JupyterLab, kernel ready. The file is put back as it was afterwards."""
    path = LAB / "notebooks" / name
    before = path.read_bytes()
    with sync_playwright() as p, p.chromium.launch(executable_path=CHROMIUM, args=FLAGS) as browser:
        page = browser.new_page(viewport={"width": 1300, "height": 1000})
        # "reset": no other notebook comes back from the workspace that an earlier browser has left
        page.goto(f"{address.replace('00-preflight.ipynb', name)}&reset")
        page.locator(".jp-Notebook").first.wait_for(timeout=60_000)
        page.locator("#jp-main-statusbar").get_by_text("| Idle").wait_for(timeout=60_000)  # before, it is "Connecting"
        try:
            yield page
        finally:
            page.close()
            if path.read_bytes() != before:
                path.write_bytes(before)


def seek(page: Page, wanted: Locator) -> Locator:
    """Scroll down from the top until `wanted` is there: JupyterLab renders only the cells near the window."""
    panel = page.locator(".jp-WindowedPanel-outer").first
    panel.evaluate("panel => { panel.scrollTop = 0 }")
    while not wanted.count():
        before = panel.evaluate("panel => panel.scrollTop")
        after = panel.evaluate(
            "panel => new Promise(done => { panel.scrollBy(0, 400);"
            " requestAnimationFrame(() => requestAnimationFrame(() => done(panel.scrollTop))) })"
        )
        assert after > before or wanted.count(), "not in the whole notebook"
    wanted.first.scroll_into_view_if_needed()
    return wanted.first
