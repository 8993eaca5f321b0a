"""Columns as Go's text/tabwriter makes them: ``table {{.ID}}\\t{{.Names}}`` and docker's default lists."""

from __future__ import annotations

from collections.abc import Sequence

MIN_WIDTH = 10
PADDING = 3


def columns(lines: Sequence[str], min_width: int = MIN_WIDTH) -> str:
    """Lines of tab-separated cells, aligned (tabwriter.NewWriter(out, 10, 1, 3, ' ', 0)).

    A column is a block of adjoining lines which all have that cell followed by a tab: its width is its widest cell's plus
    three, and `min_width` at least. The last cell of a line is not padded.
    """
    rows = [line.split("\t") for line in lines]
    widths = [[0] * (len(row) - 1) for row in rows]
    for column in range(max((len(w) for w in widths), default=0)):
        start = 0
        while start < len(rows):
            end = start
            while end < len(rows) and column < len(widths[end]):
                end += 1
            width = max((len(rows[i][column]) + PADDING for i in range(start, end)), default=0)
            for i in range(start, end):
                widths[i][column] = max(width, min_width)
            start = end + 1
    return "".join(_line(row, width) + "\n" for row, width in zip(rows, widths, strict=True))


def _line(row: list[str], widths: list[int]) -> str:
    return "".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)) + row[-1]
