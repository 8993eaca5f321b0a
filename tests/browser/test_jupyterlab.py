"""As a reader does it: ``./lab`` prints an address, a browser opens it, chapter 03 runs, a widget moves, a check answers."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import chapter, seek

CHAPTER = "03-namespaces.ipynb"
CHAPTER_TIME = 240_000  # ms; a chapter takes at most 90 s on a laptop VM, a browser and a busy machine come on top

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(420),
    pytest.mark.only_one("browser", "chapter-03"),
]


@pytest.fixture(scope="module")
def page(address: str) -> Iterator[Page]:
    """The chapter, open in JupyterLab, kernel ready."""
    with chapter(address, CHAPTER) as page:
        yield page


def saved(address: str) -> list[dict[str, object]]:
    """The chapter's code cells as the server has them."""
    parts = urlsplit(address)
    url = f"{parts.scheme}://{parts.netloc}/api/contents/{CHAPTER}?token={parse_qs(parts.query)['token'][0]}"
    with urllib.request.urlopen(url) as answer:
        cells = json.load(answer)["content"]["cells"]
    return [c for c in cells if c["cell_type"] == "code" and "".join(c["source"]).strip()]


def test_nothing_is_in_the_readers_way(page: Page) -> None:
    assert page.locator(".jp-Dialog").count() == 0
    assert page.locator(".jp-toast, .Toastify__toast").count() == 0


def test_the_chapter_runs_whole(page: Page, address: str) -> None:
    # not "Restart Kernel and Run All": JupyterLab sometimes forgets the second half when the kernel is quick
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    page.locator(".jp-Notebook-ExecutionIndicator[data-status='busy']").first.wait_for(timeout=30_000)
    page.locator(".jp-Notebook-ExecutionIndicator[data-status='idle']").first.wait_for(timeout=CHAPTER_TIME)
    page.keyboard.press("Control+s")
    page.locator(".jp-NotebookPanel .jp-mod-dirty, .lm-TabBar-tab.jp-mod-dirty").wait_for(state="detached", timeout=30_000)
    cells = saved(address)
    assert all(c["execution_count"] for c in cells)
    outputs = [o for c in cells for o in c["outputs"]]  # type: ignore[attr-defined]
    assert not [o["evalue"] for o in outputs if o["output_type"] == "error"]
    assert sum("image/png" in o.get("data", {}) for o in outputs) >= 3


def test_a_figure_is_seen(page: Page) -> None:
    figure = page.locator(".jp-OutputArea-output img").first
    figure.scroll_into_view_if_needed()
    assert figure.evaluate("image => image.complete && image.naturalWidth") > 300
    box = figure.bounding_box()
    assert box is not None and box["width"] > 300 and box["height"] > 150


def test_a_widget_moves(page: Page) -> None:
    handle = seek(page, page.locator(".widget-slider .noUi-handle"))
    area = page.locator(".jp-OutputArea", has=page.locator(".widget-slider")).first
    picture = area.locator(".jp-OutputArea-output img").last
    before = picture.get_attribute("src")
    handle.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "([image, before]) => image.isConnected === false || image.src !== before", arg=[picture.element_handle(), before]
    )
    assert area.locator(".jp-OutputArea-output img").last.get_attribute("src") != before


def answer(page: Page, text: str) -> str:
    """Type an answer into the first exercise's cell, run it, and what the check said."""
    cell = seek(page, page.locator(".jp-CodeCell", has_text='check("03-own"'))
    cell.locator(".cm-content").click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(f'check("03-own", {text})')
    prompt = cell.locator(".jp-InputPrompt")
    before = prompt.inner_text()
    page.keyboard.press("Control+Enter")
    page.wait_for_function(
        "([prompt, before]) => /\\[\\d+\\]/.test(prompt.innerText) && prompt.innerText !== before",
        arg=[prompt.element_handle(), before],
    )
    return cell.locator(".jp-OutputArea").inner_text()


def test_a_check_answers(page: Page) -> None:
    wrong = answer(page, '{"uts"}')
    assert "FAIL" in wrong
    version_2 = Path("/sys/fs/cgroup/cgroup.controllers").exists()
    right = answer(page, '{"pid", "net", "ipc", "mnt", "uts"' + (', "cgroup"}' if version_2 else "}"))
    assert "PASS" in right and "FAIL" not in right
