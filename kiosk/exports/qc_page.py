"""Drawing the QC sheet: picture, facts, checks and charts on one page."""

from __future__ import annotations

import math

import cv2
import numpy as np
from PIL import Image

from kiosk.exports.qc_charts import charts_of, unit_of
from kiosk.exports.qc_findings import Gathered, checks, numbers
from kiosk.exports.writer import ResultImage
from kiosk.imaging import charts
from kiosk.imaging.rendering import draw_outlines, outlines

# A4, landscape, at 150 dots per inch.
PAGE_PX = (1754, 1240)
MARGIN_PX, GAP_PX = 48, 28
PICTURE_PX = 980
SIDE_PX = PAGE_PX[0] - 2 * MARGIN_PX - PICTURE_PX - GAP_PX
HEADING_PX = 92
KEY_PX, MARK_PX = 150, 78
FACT_PX = 16
GOOD, DOUBTFUL = charts.PALETTE[2], charts.PALETTE[3]
FEWEST_CHART_PX, MOST_CHART_PX = 260, 340


def qc_page(gathered: Gathered) -> Image.Image:
    """The page, (1240, 1754) pixels."""
    page = Image.new("RGB", PAGE_PX, charts.PAPER)
    page.paste(_heading(gathered.image), (MARGIN_PX, MARGIN_PX - 12))
    top = MARGIN_PX + HEADING_PX
    picture = _picture(gathered)
    page.paste(picture, (MARGIN_PX, top))
    below_px = PAGE_PX[1] - MARGIN_PX - top - picture.height
    left = MARGIN_PX + PICTURE_PX + GAP_PX
    for piece in (_facts(gathered), *_checks(gathered)):
        page.paste(piece, (left, top))
        top += piece.height + 6
    size_px = SIDE_PX, PAGE_PX[1] - MARGIN_PX // 2 - top
    makers = charts_of(gathered)
    if below_px >= FEWEST_CHART_PX and len(makers) > 1:
        # A wide picture leaves room for the charts of planes.
        wide_px = PICTURE_PX // 2, min(MOST_CHART_PX, below_px - GAP_PX)
        row = charts.side_by_side([maker(gathered, wide_px) for maker in makers[1:]])
        page.paste(row, (MARGIN_PX, MARGIN_PX + HEADING_PX + picture.height + GAP_PX))
        makers = makers[:1]
    each_px = min(MOST_CHART_PX, size_px[1] // max(1, len(makers)))
    for maker in makers:
        page.paste(maker(gathered, (SIDE_PX, each_px)), (left, top + 10))
        top += each_px
    return page


def _heading(image: ResultImage) -> Image.Image:
    width = PAGE_PX[0] - 2 * MARGIN_PX
    sizes = image.sizes
    parts = [f"{sizes['x']} x {sizes['y']} px"]
    parts += [f"{axis} = {sizes[axis]}" for axis in "tz" if sizes[axis] > 1]
    if image.pixel_size_um is None:
        parts.append("pixel size not known")
    else:
        height, across = image.pixel_size_um
        square = math.isclose(height, across, rel_tol=1e-3)
        side = f"{across:.4g}" if square else f"{across:.4g} x {height:.4g}"
        parts.append(f"{side} um per pixel")
    names = ", ".join(image.channel_names[channel] for channel in image.channels)
    parts.append("colour image" if image.is_rgb else f"segmented: {names}")
    title = charts.lines_of_text(width, [image.stem], size_px=28)
    rest = charts.lines_of_text(width, ["     ".join(parts)], size_px=FACT_PX)
    heading = Image.new("RGB", (width, HEADING_PX), charts.PAPER)
    heading.paste(title, (0, 0))
    heading.paste(rest, (0, title.height + 6))
    return heading


def _picture(gathered: Gathered) -> Image.Image:
    """The plane with outlines and a caption, as large as the place for it allows."""
    if gathered.picture is None or gathered.labels is None:
        return Image.new("RGB", (PICTURE_PX, 1), charts.PAPER)
    place = gathered.name_of(gathered.shown)
    count = gathered.counts[gathered.shown]
    text = f"{_instances(count)} outlined" + (f" at {place}" if place else "")
    caption = charts.lines_of_text(PICTURE_PX, [text], size_px=FACT_PX)
    most_px = PAGE_PX[1] - 2 * MARGIN_PX - HEADING_PX - caption.height - 8
    height, width = gathered.labels.shape
    factor = min(PICTURE_PX / width, most_px / height)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    kind = Image.Resampling.BICUBIC if factor > 1 else Image.Resampling.LANCZOS
    pixels = np.asarray(Image.fromarray(gathered.picture).resize(size, kind))
    labels = cv2.resize(
        # cv2 has no unsigned 32 bits; the same bits as signed ones are moved alike.
        gathered.labels.view(np.int32),
        size,
        interpolation=cv2.INTER_NEAREST,
    ).view(np.uint32)
    drawn = draw_outlines(pixels, labels)
    if factor >= 1:  # there is room for lines that are seen
        drawn = draw_outlines(drawn, np.where(outlines(labels), 0, labels))
    framed = Image.new("RGB", (PICTURE_PX, size[1] + 8 + caption.height), charts.PAPER)
    framed.paste(Image.fromarray(drawn), (0, 0))
    framed.paste(caption, (0, size[1] + 8))
    return framed


def _facts(gathered: Gathered) -> Image.Image:
    """Keys and values beside each other."""
    facts = [("instances", f"{gathered.instances:,}")]
    planes = len(gathered.counts)
    if planes > 1:
        counts = np.array(gathered.counts)
        spread = f"{counts.min():,} to {counts.max():,}, median {np.median(counts):,.0f}"
        facts.append(("per plane", f"{spread}, in {planes:,} planes"))
    sizes = numbers(gathered.sizes)
    if sizes.size:
        low, middle, high = np.percentile(sizes, (5, 50, 95))
        unit = unit_of(gathered.size)
        facts.append(("size", f"median {middle:.4g} {unit} (5 to 95 %: {low:.4g} to {high:.4g})"))
    about = gathered.image.about or {}
    facts += [(key.replace("_", " "), text) for key, text in list(about.items())[:5]]
    keys = [charts.shortened(key, KEY_PX - 12, FACT_PX) for key, _ in facts]
    values = [charts.shortened(text, SIDE_PX - KEY_PX, FACT_PX) for _, text in facts]
    return charts.side_by_side(
        [
            charts.lines_of_text(KEY_PX, keys, size_px=FACT_PX),
            charts.lines_of_text(SIDE_PX - KEY_PX, values, size_px=FACT_PX),
        ]
    )


def _checks(gathered: Gathered) -> list[Image.Image]:
    pieces = []
    for is_good, text in checks(gathered):
        lines = charts.wrapped(text, SIDE_PX - MARK_PX, FACT_PX)
        words = charts.lines_of_text(SIDE_PX - MARK_PX, lines, size_px=FACT_PX)
        mark = charts.lines_of_text(
            MARK_PX, ["      ok" if is_good else "      check"], size_px=FACT_PX
        )
        mark.paste(GOOD if is_good else DOUBTFUL, (0, 4, 14, 18))
        pieces.append(charts.side_by_side([mark, words]))
    return pieces


def _instances(count: int) -> str:
    return "1 instance" if count == 1 else f"{count:,} instances"
