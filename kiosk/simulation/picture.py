"""A picture of a trace: what is open and how many GPU nodes there are, through time, per policy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from kiosk.errors import InvalidRequest
from kiosk.imaging import charts
from kiosk.simulation.engine import Run

WIDTH_PX, ROW_PX, MARGIN_PX = 1400, 210, 20
# Columns of a chart: more than one moment in each cannot be seen.
STEPS = 600
HOURS_UP_TO_S = 3 * 86_400.0
MANY = 5000
OPEN, PAID, SERVING = charts.PALETTE[0], charts.PALETTE[1], charts.PALETTE[2]


def write_picture(path: Path, runs: Sequence[Run]) -> None:
    """Draw runs of one trace below each other into a PNG file.

    Raises:
        InvalidRequest: the file cannot be written.
    """
    end_s = max(run.end_s for run in runs)
    most_open = max(moment.open_megapixels for run in runs for moment in run.history)
    most_nodes = max(moment.gpu_nodes for run in runs for moment in run.history)
    pieces = [_heading(runs[0]), _legend()]
    pieces += [_row(run, end_s, most_open, most_nodes) for run in runs]
    height = sum(piece.height for piece in pieces) + 2 * MARGIN_PX
    sheet = Image.new("RGB", (WIDTH_PX + 2 * MARGIN_PX, height), charts.PAPER)
    y = MARGIN_PX
    for piece in pieces:
        sheet.paste(piece, (MARGIN_PX, y))
        y += piece.height
    try:
        # Few colours and many white pixels: a palette halves the file.
        sheet.quantize(64).save(path, format="PNG", optimize=True)
    except OSError as error:
        raise InvalidRequest(f"'{path}' cannot be written: {error.strerror}.") from error


def held(
    times_s: Sequence[float], values: Sequence[float], end_s: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """A quantity that stays until its next value, in even steps: (times, largest in each step)."""
    edges = np.linspace(0, end_s, STEPS + 1)
    known = np.asarray(values, dtype=np.float64)
    before = np.searchsorted(times_s, edges[:-1], side="right") - 1
    largest = known[before.clip(min=0)]
    step = np.searchsorted(edges, times_s, side="right") - 1
    np.maximum.at(largest, step.clip(0, STEPS - 1), known)
    # Corners of the steps.
    return np.repeat(edges, 2)[1:-1], np.repeat(largest, 2)


def sloping(
    times_s: Sequence[float], values: Sequence[float], end_s: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """A quantity that changes evenly between its values: (times, largest around each)."""
    edges = np.linspace(0, end_s, STEPS + 1)
    known = np.asarray(values, dtype=np.float64)
    largest = np.interp(edges, times_s, known)
    np.maximum.at(largest, np.rint(np.asarray(times_s) / end_s * STEPS).astype(int), known)
    return edges, largest


def _heading(run: Run) -> Image.Image:
    text = f"{run.trace.name}: {run.trace.images:,} images"
    return charts.lines_of_text(WIDTH_PX, [text], title_px=charts.TITLE_PX)


def _legend() -> Image.Image:
    names = (
        ("open megapixels", OPEN),
        ("GPU nodes that are paid", PAID),
        ("Triton replicas that serve", SERVING),
    )
    pieces = [
        charts.legend(WIDTH_PX // 3, 40, [charts.Series(name, [], [], colour, line_px=2)])
        for name, colour in names
    ]
    return charts.side_by_side(pieces)


def _row(run: Run, end_s: float, most_open: float, most_nodes: int) -> Image.Image:
    unit, unit_s = ("h", 3600.0) if end_s <= HOURS_UP_TO_S else ("days", 86_400.0)
    time = charts.even_axis(unit, 0, end_s / unit_s, 8)
    times_s = [moment.time_s for moment in run.history]
    thousands, thousand = (", in thousands", 1000.0) if most_open >= MANY else ("", 1.0)

    def series(
        points: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]],
        colour: charts.Colour,
        unit_y: float = 1.0,
    ) -> charts.Series:
        x, y = points
        return charts.Series("", (x / unit_s).tolist(), (y / unit_y).tolist(), colour, line_px=1.6)

    moments = run.history
    left = charts.chart(
        WIDTH_PX // 2,
        ROW_PX,
        f"{run.policy}{thousands}",
        time,
        charts.count_axis("", most_open / thousand),
        [
            series(
                sloping(times_s, [moment.open_megapixels for moment in moments], run.end_s),
                OPEN,
                thousand,
            )
        ],
    )
    right = charts.chart(
        WIDTH_PX // 2,
        ROW_PX,
        "",
        time,
        charts.even_axis("", 0, most_nodes * 1.05, 4),
        [
            series(held(times_s, [moment.gpu_nodes for moment in moments], run.end_s), PAID),
            series(held(times_s, [moment.ready_triton for moment in moments], run.end_s), SERVING),
        ],
    )
    return charts.side_by_side([left, right])
