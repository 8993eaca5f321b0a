"""As a reader does it: chapter 08's slider moves the shares of a running container, and the picture follows."""

from __future__ import annotations

import io
import statistics
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Locator, Page

import minidock
from minidock.lab import counters, plots
from minidock.libcontainer import cgroups
from tests.browser.conftest import chapter, seek

CHAPTER = "08-cpu.ipynb"
# What has to have run before the cell with the slider, and that cell; by how they begin
CELLS = ("from minidock.lab.chapter import begin", "# What the cells below use", "two = scenarios.shares_on_one_core")
LIVE = "moved = live.follow("

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(180),
    pytest.mark.only_one("browser", "chapter-08"),
]


@pytest.fixture(scope="module")
def page(address: str) -> Iterator[Page]:
    """The chapter without the outputs that it was saved with; the cells before the slider have run."""
    with chapter(address, CHAPTER) as page:
        clear(page)
        for text in CELLS:
            run(page, text)
        yield page
        run(page, "print(chapter.end())")


def clear(page: Page) -> None:
    """Take every cell's output and number away: `run` knows by the number that a cell has run."""
    page.get_by_role("menuitem", name="Edit", exact=True).click()
    page.get_by_role("menuitem", name="Clear Outputs of All Cells", exact=True).click()


def run(page: Page, text: str) -> Locator:
    """Click into the cell that holds `text`, run it, wait until it has ended; its output."""
    cell = seek(page, page.locator(".jp-CodeCell", has_text=text))
    cell.locator(".cm-content").click()
    prompt = cell.locator(".jp-InputPrompt")
    before = prompt.inner_text()
    page.keyboard.press("Control+Enter")
    page.wait_for_function(
        "([prompt, before]) => /\\[\\d+\\]/.test(prompt.innerText) && prompt.innerText !== before",
        arg=[prompt.element_handle(), before],
    )
    return cell.locator(".jp-OutputArea").first


def weights() -> list[int]:
    """What the kernel holds for the chapter's containers that run."""
    with minidock.from_env() as client:
        running = client.containers.list(filters={"label": "minidock.chapter=08-cpu"})
        found = []
        for container in running:
            with suppress(FileNotFoundError):  # it has ended since it was listed
                found.append(counters.group(container).held()["weight"])
        return sorted(found)


def meant(*shares: int) -> list[int]:
    """What the kernel holds for so many shares."""
    return sorted(n if cgroups.version() == 1 else int(cgroups.cpu_weight(n)) for n in shares)


def wait_until(page: Page, holds: Any) -> None:
    """Look again until the condition holds, for ten seconds at most."""
    for _ in range(100):
        if holds():
            return
        page.wait_for_timeout(100)
    pytest.fail("it did not come to hold")


def is_above(picture: Locator) -> bool | None:
    """Whether the first container's line ends above the second's on the drawn picture; None while there are no lines."""
    data = picture.evaluate("async image => [...new Uint8Array(await (await fetch(image.src)).arrayBuffer())]")
    drawn = Image.open(io.BytesIO(bytes(data))).convert("RGB")
    first, second = (_pixels(drawn, colour) for colour in (plots.BLUE, plots.ORANGE))
    both = set(first) & set(second)
    return statistics.mean(first[max(both)]) < statistics.mean(second[max(both)]) if both else None


def _pixels(drawn: Image.Image, colour: str) -> dict[int, list[int]]:
    """Column → the rows in which it has `colour`, above the time axis and what is below it."""
    wanted = bytes.fromhex(colour[1:])
    found: dict[int, list[int]] = {}
    for x in range(drawn.width):
        for y in range(drawn.height * 3 // 4):
            if all(abs(a - b) < 24 for a, b in zip(drawn.getpixel((x, y)), wanted, strict=True)):  # type: ignore[arg-type]
                found.setdefault(x, []).append(y)
    return found


def test_the_slider_moves_the_limit_and_the_picture_follows(page: Page) -> None:
    area = run(page, LIVE)
    picture = area.locator("img").last
    assert weights() == meant(500, 1000)
    wait_until(page, lambda: area.locator("img").count() == 2 and picture.evaluate("image => image.naturalWidth"))
    wait_until(page, lambda: is_above(picture))  # 1000 shares, and below it 500
    area.locator(".widget-slider .noUi-handle").focus()
    page.keyboard.press("ArrowLeft")
    wait_until(page, lambda: weights() == meant(250, 500))
    wait_until(page, lambda: is_above(picture) is False)


def test_the_cell_run_again_takes_the_place_of_the_first(page: Page) -> None:
    area = run(page, LIVE)
    assert weights() == meant(500, 1000)  # the first pair is gone
    area.get_by_role("button", name="stop").click()
    area.get_by_text("its containers are gone").wait_for()
    assert weights() == []


def test_another_cell_has_the_machine_to_itself(page: Page) -> None:
    run(page, LIVE)
    run(page, CELLS[1])
    assert weights() == []


def test_a_restarted_kernel_takes_its_containers_along(page: Page) -> None:
    run(page, LIVE)
    assert weights() == meant(500, 1000)
    page.keyboard.press("Escape")
    page.keyboard.press("0")
    page.keyboard.press("0")
    page.locator(".jp-Dialog").get_by_role("button", name="Confirm Kernel Restart").click()
    wait_until(page, lambda: weights() == [])
    clear(page)
    run(page, CELLS[0])
