"""How far an experiment is: a bar of rich on a terminal, a widget in a live notebook, nothing where nobody looks."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from minidock.lab import workspace

Advance = Callable[[], None]


@contextmanager
def bar(label: str, total: int, wanted: bool = True) -> Iterator[Advance]:
    """A bar of `total` steps while the ``with`` lasts; call what it yields after each step. It goes away at the end."""
    if wanted and _live_notebook():
        with _widget(label, total) as advance:
            yield advance
    elif wanted and sys.stderr.isatty():
        with _terminal(label, total) as advance:
            yield advance
    else:
        yield lambda: None


def _live_notebook() -> bool:
    if "IPython" not in sys.modules or workspace.headless():
        return False
    from IPython import get_ipython

    return type(get_ipython()).__name__ == "ZMQInteractiveShell"


@contextmanager
def _terminal(label: str, total: int) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(label, total=total)
        yield lambda: shown.advance(task)


@contextmanager
def _widget(label: str, total: int) -> Iterator[Advance]:
    import ipywidgets
    from IPython.display import display

    shown = ipywidgets.IntProgress(min=0, max=total, description=label, style={"description_width": "initial"})
    display(shown)  # type: ignore[no-untyped-call]

    def advance() -> None:
        shown.value += 1

    try:
        yield advance
    finally:
        shown.close()
