"""Controls that teach by being moved, each with a static rendering that teaches without.

A notebook is read in three places: in JupyterLab with a kernel, as a committed file on a web page, and as a report. Only the
first can move a slider. So every control has a static picture of several of its positions (small multiples), drawn first;
the live control comes below it, and only when somebody is there to move it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from minidock.lab import workspace


def show(static: object, live: Callable[[], Any] | None = None) -> None:
    """Display the static rendering, and below it, in a live notebook only, the control that `live` makes."""
    from IPython.display import display

    display(static)  # type: ignore[no-untyped-call]
    if live is not None and not workspace.headless():
        display(live())  # type: ignore[no-untyped-call]


def ask(value: float | str, choices: Sequence[str], unit: str, keep: Callable[[Any], None]) -> Any:
    """A control for one answer: a list of choices, or a number with a unit. `keep` gets what the reader enters."""
    import ipywidgets

    control: Any
    if choices:
        control = ipywidgets.RadioButtons(options=list(choices), value=value)
    else:
        control = ipywidgets.BoundedFloatText(value=float(value), min=-1e12, max=1e12, step=0.1, layout={"width": "12em"})
    said = ipywidgets.HTML("kept when you change it")

    def changed(change: dict[str, Any]) -> None:
        keep(change["new"])
        said.value = "✔ kept"

    control.observe(changed, names="value")
    return ipywidgets.HBox([control, ipywidgets.Label(unit), said])


def slider(draw: Callable[[int], object], *, label: str, values: Sequence[int], static: Callable[[], object]) -> None:
    """A slider over `values` that calls `draw(value)`, under `static()`, the picture that shows several values at once.

    `draw` may return anything IPython can display. The first of `values` is where the slider starts.
    """

    def live() -> Any:
        import ipywidgets
        from IPython.display import display

        control = ipywidgets.SelectionSlider(options=list(values), value=values[0], description=label, continuous_update=False)
        output = ipywidgets.Output()

        def redraw(change: dict[str, Any]) -> None:
            with output:
                output.clear_output(wait=True)
                display(draw(change["new"]))  # type: ignore[no-untyped-call]

        control.observe(redraw, names="value")
        redraw({"new": values[0]})
        return ipywidgets.VBox([control, output])

    show(static(), live)
