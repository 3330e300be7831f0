"""The worst planes of an evaluation as a contact sheet."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np
from PIL import Image

from kiosk.evaluation import tiles
from kiosk.evaluation.comparison import PlaneResult
from kiosk.evaluation.images import ImageFolder
from kiosk.evaluation.pairs import read_planes
from kiosk.imaging import charts

TILE_PX, COLUMNS, GAP_PX, CAPTION_PX = 396, 4, 16, 72


def contact_sheet(
    shown: Sequence[PlaneResult], images: ImageFolder | None, width_px: int
) -> list[Image.Image]:
    """Rows of pictures: a title, what the colours mean, and the planes with their captions.

    Raises InvalidRequest when there are no images for these planes, or one does not fit.
    """
    if images is not None:
        images.check(shown)
    what = "The worst plane" if len(shown) == 1 else f"The {len(shown)} worst planes"
    title = charts.lines_of_text(width_px, [f"{what} by F1 at IoU 0.5"], title_px=charts.TITLE_PX)
    rows = [title, _outline_legend()]
    drawn = _drawn(shown, images)
    for first in range(0, len(shown), COLUMNS):
        row = [drawn[result] for result in shown[first : first + COLUMNS]]
        rows.append(charts.side_by_side(row, GAP_PX))
    return rows


def _drawn(
    shown: Sequence[PlaneResult], images: ImageFolder | None
) -> dict[PlaneResult, Image.Image]:
    """The tile of each plane; every file is read once for all its planes."""
    drawn = {}
    by_file = sorted(shown, key=lambda result: result.pair.truth)
    for pair, results in groupby(by_file, key=lambda result: result.pair):
        planes = list(read_planes(pair))
        for result in results:
            where = pair.name + (f", plane {result.plane}" if len(planes) > 1 else "")
            drawn[result] = _captioned(result, where, *planes[result.plane], images)
    return drawn


def _outline_legend() -> Image.Image:
    pieces = []
    for name, colour in (
        ("ground truth", tiles.TRUTH_COLOUR),
        ("prediction", tiles.PREDICTED_COLOUR),
        ("both", tiles.BOTH_COLOUR),
    ):
        swatch = Image.new("RGB", (44, 20), (0, 0, 0))
        swatch.paste(colour, (5, 8, 39, 11))
        pieces += [swatch, charts.lines_of_text(110, [name])]
    pieces.append(charts.lines_of_text(400, ["filled: not matched at IoU 0.5"]))
    return charts.side_by_side(pieces, 8)


def _captioned(
    result: PlaneResult,
    where: str,
    truth: np.ndarray,
    predicted: np.ndarray,
    images: ImageFolder | None,
) -> Image.Image:
    image = images.plane(result, truth.shape) if images else None
    tile, part = tiles.mistake_tile(truth, predicted, image, TILE_PX)
    counts = result.scores.counts[0]
    cut = part[2:] != truth.shape
    notes = [
        result.group,
        f"part at y {part[0]}, x {part[1]}, {part[3]} x {part[2]} px" if cut else "",
        "no prediction" if result.pair.predicted is None else "",
        "no image" if images and image is None else "",
    ]
    captioned = Image.new("RGB", (TILE_PX, TILE_PX + CAPTION_PX + GAP_PX), charts.PAPER)
    captioned.paste(Image.fromarray(tile), (0, 0))
    caption = charts.lines_of_text(
        TILE_PX,
        [
            f"F1 {counts.f1:.2f}   TP {counts.true_positives}   FP {counts.false_positives}"
            f"   FN {counts.false_negatives}",
            where,
            "; ".join(note for note in notes if note),
        ],
        size_px=13,
    )
    captioned.paste(caption, (0, TILE_PX + 4))
    return captioned
