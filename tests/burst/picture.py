"""Replicas against backlog over time."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from kiosk.imaging.charts import PALETTE, Colour, Series, chart, even_axis, legend, side_by_side
from tests.burst.burst import Sample

WIDTH_PX, HEIGHT_PX, LEGEND_PX = 900, 260, 240


def draw(samples: Sequence[Sample]) -> Image.Image:
    """Two charts above each other, with their legends."""
    times = [sample.time_s for sample in samples]
    work = [_line("open parts", times, [s.open_parts for s in samples], PALETTE[0])]
    replicas = [
        _line("consumers, desired", times, [s.consumers_desired for s in samples], PALETTE[4], 7),
        _line("consumers, running", times, [s.consumers_running for s in samples], PALETTE[0]),
        _line("Triton, desired", times, [s.triton_desired for s in samples], PALETTE[1], 7),
        _line("Triton, ready", times, [s.triton_ready for s in samples], PALETTE[3]),
    ]
    rows = [_row("Backlog", "parts", work), _row("Replicas", "replicas", replicas)]
    sheet = Image.new("RGB", (rows[0].width, sum(row.height for row in rows)), "white")
    for number, row in enumerate(rows):
        sheet.paste(row, (0, number * row.height))
    return sheet


def _row(title: str, unit: str, series: list[Series]) -> Image.Image:
    longest_s = max(series[0].x)
    most = max(max(one.y) for one in series)
    axes = even_axis("time in s", 0, longest_s, 10), even_axis(unit, 0, most * 1.1)
    plot = chart(WIDTH_PX, HEIGHT_PX, title, *axes, series)
    return side_by_side([plot, legend(LEGEND_PX, HEIGHT_PX, series)])


def _line(
    name: str, times: list[float], values: list[int], colour: Colour, line_px: float = 2
) -> Series:
    """Replicas change in steps, so the line has corners."""
    x = [times[0], *(time for time in times[1:] for _ in range(2))]
    y = [value for value in values[:-1] for _ in range(2)] + values[-1:]
    return Series(name, x, [float(value) for value in y], colour, line_px=line_px)
