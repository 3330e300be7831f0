"""The picture of an evaluation: curves over IoU, counts, and the worst planes on one sheet."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from kiosk.errors import InvalidRequest
from kiosk.evaluation.comparison import Evaluation
from kiosk.evaluation.curves import chart_rows
from kiosk.evaluation.images import ImageFolder
from kiosk.evaluation.tables import signed_percent
from kiosk.evaluation.worst import contact_sheet
from kiosk.imaging import charts

WIDTH_PX, MARGIN_PX = 1680, 24


def write_picture(
    path: Path, evaluation: Evaluation, *, worst: int = 12, images: ImageFolder | None = None
) -> None:
    """Draw the sheet into a PNG file.

    Args:
        path: ends in .png; folders are made if needed.
        evaluation: the figures.
        worst: how many of the worst planes to show.
        images: the pixels below the outlines; None = black.

    Raises:
        InvalidRequest: the file cannot be written, or an image does not fit its labels.
    """
    gap = Image.new("RGB", (1, MARGIN_PX // 2), charts.PAPER)
    pieces = [_heading(evaluation), gap, *chart_rows(evaluation), gap]
    if shown := evaluation.worst(worst):
        pieces += contact_sheet(shown, images, WIDTH_PX - 2 * MARGIN_PX)
    height = sum(piece.height for piece in pieces) + MARGIN_PX * 2
    sheet = Image.new("RGB", (WIDTH_PX, height), charts.PAPER)
    y = MARGIN_PX
    for piece in pieces:
        sheet.paste(piece, (MARGIN_PX, y))
        y += piece.height
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sheet.save(path, format="PNG")
    except OSError as error:
        raise InvalidRequest(f"'{path}' cannot be written: {error.strerror}.") from error


def _heading(evaluation: Evaluation) -> Image.Image:
    pooled = evaluation.pooled
    at_half = pooled.counts[0]
    return charts.lines_of_text(
        WIDTH_PX - 2 * MARGIN_PX,
        [
            f"{pooled.planes} planes, {pooled.truth_count} true and {pooled.predicted_count}"
            f" predicted instances ({signed_percent(pooled.relative_count_error)})",
            f"IoU .5: precision {at_half.precision:.3f}, recall {at_half.recall:.3f},"
            f" F1 {at_half.f1:.3f}, AP {at_half.average_precision:.3f}",
            f"Mean AP over IoU .5-.9 {pooled.mean_ap:.3f}, over .5-.95 {pooled.mean_ap_50_95:.3f};"
            f" SEG {pooled.seg.mean:.3f}; panoptic quality {pooled.panoptic.quality:.3f}; mean"
            f" absolute count error {pooled.mean_absolute_count_error:.1f} per plane",
        ],
        title_px=charts.TITLE_PX,
    )
