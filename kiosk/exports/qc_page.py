"""Drawing the QC sheet: picture, facts, checks and charts on one page."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from PIL import Image

from kiosk.exports.writer import ResultImage
from kiosk.imaging import charts
from kiosk.imaging.charts import Axis, Bars, Series
from kiosk.imaging.plane_quality import PlaneQuality, saturated_share, soft_planes
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
BINS = 24
FEWEST_CHART_PX, MOST_CHART_PX = 260, 340
MOST_MARKED = 60
# What is pointed out.
SATURATED_SHARE, CUT_SHARE = 1e-3, 0.25


@dataclass
class Gathered:
    """What was seen while the planes went by.

    Attributes:
        size: name of the column of sizes, "" if there is none.
        places, counts, quality: t and z, instances and quality of each plane.
        sizes, means: sizes and mean intensities of the instances, in pieces.
        cut: instances that the border cuts.
        picture, labels: (y, x, 3) uint8 and (y, x) uint32 of one plane; `shown` is its number.
    """

    image: ResultImage
    size: str
    places: list[tuple[int, int]] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    quality: list[PlaneQuality] = field(default_factory=list)
    sizes: list[np.ndarray] = field(default_factory=list)
    means: list[np.ndarray] = field(default_factory=list)
    instances: int = 0
    cut: int = 0
    picture: np.ndarray | None = None
    labels: np.ndarray | None = None
    shown: int = 0

    def name_of(self, number: int) -> str:
        """Which plane that is, as far as the image has several: "t = 3, z = 0"."""
        lengths = self.image.sizes
        names = zip("tz", self.places[number], strict=True)
        return ", ".join(f"{axis} = {value}" for axis, value in names if lengths[axis] > 1)


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
    makers = _charts(gathered)
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
    sizes = _numbers(gathered.sizes)
    if sizes.size:
        low, middle, high = np.percentile(sizes, (5, 50, 95))
        unit = _unit(gathered.size)
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


def checks(gathered: Gathered) -> list[tuple[bool, str]]:
    """(whether all is well, sentence) of each thing that was looked at."""
    return [
        _check_instances(gathered),
        _check_saturation(gathered),
        *_check_focus(gathered),
        *_check_border(gathered),
    ]


def _check_instances(gathered: Gathered) -> tuple[bool, str]:
    if not gathered.instances:
        return False, "No instances were found."
    empty = [number for number, count in enumerate(gathered.counts) if count == 0]
    if not empty:
        return True, "Every plane has instances." if len(
            gathered.counts
        ) > 1 else "Instances were found."
    named = _listed([gathered.name_of(number) for number in empty])
    return False, f"{len(empty)} of {len(gathered.counts)} planes have no instances: {named}."


def _check_saturation(gathered: Gathered) -> tuple[bool, str]:
    share = saturated_share(gathered.quality)
    highest = max((plane.highest for plane in gathered.quality if plane.pixels), default=0.0)
    sentence = f"{_percent(share)} of the pixels have the highest grey value, {highest:.6g}."
    return share < SATURATED_SHARE, sentence


def _check_focus(gathered: Gathered) -> list[tuple[bool, str]]:
    """Planes are compared with those at the same z: a stack is sharp in its middle only."""
    focus = _focus_of_planes(gathered)
    depths = np.array([z for _, z in gathered.places])
    soft: list[int] = []
    for depth in np.unique(depths):
        here = np.flatnonzero(depths == depth)
        soft += here[soft_planes(focus[here])].tolist()
    if soft:
        named = _listed([gathered.name_of(number) for number in sorted(soft)])
        return [(False, f"Much less sharp than the others: {named}.")]
    if gathered.image.sizes["t"] >= 5:
        return [(True, "No plane is much less sharp than the others.")]
    return []


def _check_border(gathered: Gathered) -> list[tuple[bool, str]]:
    if not gathered.instances or "touches_border" not in gathered.image.columns:
        return []
    share = gathered.cut / gathered.instances
    sentence = f"{_percent(share)} of the instances are cut by the border of the plane."
    return [(share < CUT_SHARE, sentence)]


def _charts(gathered: Gathered) -> list[Callable[[Gathered, tuple[int, int]], Image.Image]]:
    """The charts for which there is something to draw."""
    found: list[Callable[[Gathered, tuple[int, int]], Image.Image]] = []
    if _numbers(gathered.sizes).size:
        found.append(_sizes)
    if len(gathered.counts) > 1:
        found += [_counts, _focus]
    elif _numbers(gathered.means).size:
        found.append(_means)
    return found


def _sizes(gathered: Gathered, size_px: tuple[int, int]) -> Image.Image:
    title = f"Instances by size ({_unit(gathered.size)})"
    return _histogram(_numbers(gathered.sizes), title, size_px)


def _means(gathered: Gathered, size_px: tuple[int, int]) -> Image.Image:
    name = gathered.image.channel_names[gathered.image.channels[0]]
    return _histogram(_numbers(gathered.means), f"Instances by mean grey value, {name}", size_px)


def _histogram(values: np.ndarray, title: str, size_px: tuple[int, int]) -> Image.Image:
    # The few largest would squeeze all others together; they are counted in the last bar.
    low, high = min(0.0, float(values.min())), float(np.percentile(values, 99)) * 1.1
    edges = np.linspace(low, high if high > low else low + 1.0, BINS + 1)
    heights = np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0]
    bars = Bars(edges.tolist(), heights.tolist(), charts.PALETTE[0])
    x = charts.even_axis("", low, float(edges[-1]))
    y = _count_axis(int(heights.max()), size_px)
    return charts.chart(*size_px, title, x, y, [], bars)


def _counts(gathered: Gathered, size_px: tuple[int, int]) -> Image.Image:
    y = _count_axis(max(gathered.counts), size_px)
    return _by_plane(gathered, gathered.counts, "Instances per plane", y, size_px)


def _focus(gathered: Gathered, size_px: tuple[int, int]) -> Image.Image:
    """Planes without instances are left out: nothing in them could be sharp."""
    focus = _focus_of_planes(gathered)
    usual = float(np.median(focus[focus > 0])) if (focus > 0).any() else 1.0
    shown = np.where(focus > 0, focus / usual, np.nan)
    high = min(3.0, max(1.2, float(np.nanmax(shown, initial=1.0)) * 1.1))
    y = charts.even_axis("", 0, high, _ticks(size_px))
    title = "Sharpness (1 = median plane)"
    return _by_plane(gathered, np.minimum(shown, high).tolist(), title, y, size_px)


def _focus_of_planes(gathered: Gathered) -> np.ndarray:
    """(plane,) float64, 0 for planes without instances."""
    focus = np.array([plane.focus for plane in gathered.quality])
    return np.where(np.array(gathered.counts) > 0, focus, 0.0)


def _by_plane(
    gathered: Gathered, values: Sequence[float], title: str, y: Axis, size_px: tuple[int, int]
) -> Image.Image:
    """Values along t, or along z where there is one time point; one line per z of a few."""
    lengths = gathered.image.sizes
    along, other = ("t", "z") if lengths["t"] > 1 else ("z", "t")
    places = np.array(gathered.places)[:, ["tz".index(along), "tz".index(other)]]
    depths = np.unique(places[:, 1])
    if len(depths) > len(charts.PALETTE):
        depths = depths[np.linspace(0, len(depths) - 1, len(charts.PALETTE)).round().astype(int)]
    name = f"{along}, counted from 0"
    if len(depths) > 1:
        name += f"; a line per {other}, from {depths[0]} (blue) to {depths[-1]}"
    shown, series = np.array(values, np.float64), []
    for number, depth in enumerate(depths.tolist()):
        here = np.flatnonzero((places[:, 1] == depth) & np.isfinite(shown))
        marker = "circle" if here.size <= MOST_MARKED else ""
        line = places[here, 0].tolist(), shown[here].tolist()
        series.append(Series(str(depth), *line, charts.PALETTE[number], marker, 2))
    ticks = charts.even_axis("", 0, lengths[along] - 1).ticks
    whole = [tick for tick in ticks if float(tick).is_integer()]
    x = Axis(name, 0, lengths[along] - 1, whole)
    return charts.chart(*size_px, title, x, y, series)


def _count_axis(largest: int, size_px: tuple[int, int]) -> Axis:
    axis = charts.even_axis("", 0, max(1, largest) * 1.08, _ticks(size_px))
    whole = [tick for tick in axis.ticks if float(tick).is_integer()]
    return Axis("", axis.low, axis.high, whole)


def _numbers(pieces: Sequence[np.ndarray]) -> np.ndarray:
    """(instance,) float64: those that are numbers."""
    values = np.concatenate([*pieces, np.zeros(0)]).astype(np.float64)
    return values[np.isfinite(values)]


def _ticks(size_px: tuple[int, int]) -> int:
    return max(2, min(6, (size_px[1] - 86) // 36))


def _unit(column: str) -> str:
    return {
        "volume_um3": "cubic um",
        "volume_px": "voxels",
        "area_um2": "square um",
        "area_px": "pixels",
    }.get(column, "")


def _instances(count: int) -> str:
    return "1 instance" if count == 1 else f"{count:,} instances"


def _percent(share: float) -> str:
    if share == 0:
        return "0 %"
    return "Less than 0.01 %" if share < 1e-4 else f"{share * 100:.2g} %"


def _listed(names: Sequence[str], most: int = 4) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return "; ".join(names[:most]) + more
