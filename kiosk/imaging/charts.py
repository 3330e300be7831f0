"""Curves, scatter and bars drawn with Pillow, which the kiosk has anyway: no plotting library."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]

# Everything is drawn larger and shrunk at the end, which smooths all edges at once.
OVERSAMPLING = 3
INK: Colour = (34, 34, 34)
FAINT: Colour = (221, 221, 221)
PAPER: Colour = (255, 255, 255)
# Okabe and Ito's colours, told apart with any kind of colour vision; without their yellow, which
# is too pale on paper, and black, which is for what is pooled.
PALETTE: tuple[Colour, ...] = (
    (0, 114, 178),
    (230, 159, 0),
    (0, 158, 115),
    (213, 94, 0),
    (86, 180, 233),
    (204, 121, 167),
)
MARKERS = ("circle", "square", "triangle")
TEXT_PX, TITLE_PX = 15, 20
LEFT_PX, RIGHT_PX, TOP_PX, BOTTOM_PX = 58, 14, 36, 50
# Letters that Pillow's own font lacks.
_SPELLED = str.maketrans(
    {"\u00b5": "u", "\u03bc": "u", "\u00b2": "2", "\u00b3": "3", "\u00d7": "x", "\u2013": "-"}
)


@dataclass(frozen=True)
class Series:
    """Points of one colour; joined by a line where `line_px` is above 0, bare without marker."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    colour: Colour
    marker: str = ""
    line_px: float = 0


@dataclass(frozen=True)
class Bars:
    """Bars beside each other: one more edge than heights."""

    edges: Sequence[float]
    heights: Sequence[float]
    colour: Colour


@dataclass(frozen=True)
class Axis:
    """From `low` to `high`; `scale` bends it (a square root leaves room to small values)."""

    title: str
    low: float
    high: float
    ticks: Sequence[float]
    scale: Callable[[float], float] = float

    def share(self, value: float) -> float:
        """Where the value is: 0 at `low`, 1 at `high`."""
        low, high = self.scale(self.low), self.scale(self.high)
        return (self.scale(value) - low) / (high - low)


def style(number: int) -> tuple[Colour, str]:
    """Colour and marker of the n-th of many series; 18 of them differ."""
    return PALETTE[number % len(PALETTE)], MARKERS[number // len(PALETTE) % len(MARKERS)]


def count_axis(title: str, largest: float) -> Axis:
    """An axis for numbers of instances, which are often few and sometimes very many."""
    high = max(1.0, largest)
    steps = [m * 10**e for e in range(math.ceil(math.log10(high)) + 1) for m in (1, 2, 5)]
    ticks: list[float] = [0]
    for step in steps:
        # Ticks keep a distance that leaves room for their numbers.
        if step <= high and math.sqrt(step) - math.sqrt(ticks[-1]) > 0.1 * math.sqrt(high):
            ticks.append(step)
    return Axis(title, 0, high * 1.05, ticks, math.sqrt)


def even_axis(title: str, low: float, high: float, most_ticks: int = 6) -> Axis:
    """A straight axis with ticks at round numbers."""
    if not high > low:
        low, high = low - 0.5, low + 0.5
    step = 10.0 ** math.floor(math.log10((high - low) / most_ticks))
    step = next(step * m for m in (1, 2, 5, 10) if (high - low) / (step * m) <= most_ticks)
    ticks = [step * n for n in range(math.ceil(low / step), math.floor(high / step) + 1)]
    return Axis(title, low, high, ticks)


def chart(
    width_px: int,
    height_px: int,
    title: str,
    x: Axis,
    y: Axis,
    series: Sequence[Series],
    bars: Bars | None = None,
) -> Image.Image:
    """A chart with title, grid and axes; a legend is drawn apart, for many charts at once."""
    image, draw = _sheet(width_px, height_px)
    area = (LEFT_PX, TOP_PX, width_px - RIGHT_PX, height_px - BOTTOM_PX)
    _text(draw, (area[0], 8), title, size_px=TEXT_PX + 2)
    _grid(draw, area, x, y)
    if bars is not None:
        _draw_bars(draw, area, x, y, bars)
    for one in series:
        points = [
            (
                area[0] + x.share(a) * (area[2] - area[0]),
                area[3] - y.share(b) * (area[3] - area[1]),
            )
            for a, b in zip(one.x, one.y, strict=True)
        ]
        _draw_series(draw, points, one)
    return _shrunk(image)


def legend(width_px: int, height_px: int, series: Sequence[Series]) -> Image.Image:
    """The names of series, one below the other."""
    image, draw = _sheet(width_px, height_px)
    for number, one in enumerate(series):
        y = 20 + number * (TEXT_PX + 9)
        _draw_series(draw, [(10, y), (50, y)], one)
        name = shortened(one.name, width_px - 70, TEXT_PX)
        _text(draw, (62, y), name, anchor="lm")
    return _shrunk(image)


def lines_of_text(
    width_px: int, lines: Sequence[str], *, size_px: int = TEXT_PX, title_px: int = 0
) -> Image.Image:
    """Lines of text on paper, cut in the middle where too long; the first may be a title."""
    sizes = [size_px] * len(lines)
    sizes[0] = title_px or size_px
    image, draw = _sheet(width_px, sum(size + 8 for size in sizes))
    y = 2
    for line, size in zip(lines, sizes, strict=True):
        _text(draw, (0, y), shortened(line, width_px, size), size_px=size)
        y += size + 8
    return _shrunk(image)


def side_by_side(pieces: Sequence[Image.Image], gap_px: int = 0) -> Image.Image:
    """Pictures in a row on paper."""
    width = sum(piece.width + gap_px for piece in pieces) - gap_px
    row = Image.new("RGB", (width, max(piece.height for piece in pieces)), PAPER)
    x = 0
    for piece in pieces:
        row.paste(piece, (x, 0))
        x += piece.width + gap_px
    return row


def wrapped(text: str, width_px: float, size_px: int = TEXT_PX) -> list[str]:
    """The words of a text in lines of at most this width; longer words have a line of their own."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and _font(size_px).getlength(longer) <= width_px * OVERSAMPLING:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines or [""]


def drawable(text: str) -> str:
    """The text with "?" for letters that the font has not; micro and exponents in plain letters."""
    plain = text.translate(_SPELLED)
    return "".join(letter if _has_letter(letter) else "?" for letter in plain)


def shortened(text: str, width_px: float, size_px: int) -> str:
    """The text, or its two ends with dots between where it is wider than that."""
    font = _font(size_px)
    if font.getlength(text) <= width_px * OVERSAMPLING:
        return text
    for kept in range(len(text) - 1, 1, -1):
        short = f"{text[: (kept + 1) // 2]}...{text[-(kept // 2) :]}"
        if font.getlength(short) <= width_px * OVERSAMPLING:
            return short
    return "..."


def _grid(draw: ImageDraw.ImageDraw, area: tuple[int, int, int, int], x: Axis, y: Axis) -> None:
    left, top, right, bottom = area
    for tick in x.ticks:
        at = left + x.share(tick) * (right - left)
        _line(draw, [(at, top), (at, bottom)], FAINT, 1)
        _text(draw, (at, bottom + 8), f"{tick:g}", anchor="mt")
    for tick in y.ticks:
        at = bottom - y.share(tick) * (bottom - top)
        _line(draw, [(left, at), (right, at)], FAINT, 1)
        _text(draw, (left - 7, at), f"{tick:g}", anchor="rm")
    _line(draw, [(left, top), (left, bottom), (right, bottom)], INK, 1.3)
    _text(draw, ((left + right) / 2, bottom + 29), x.title, anchor="mt")
    if y.title:
        _text(draw, (left + 8, top + 2), y.title)


def _draw_bars(
    draw: ImageDraw.ImageDraw, area: tuple[int, int, int, int], x: Axis, y: Axis, bars: Bars
) -> None:
    left, top, right, bottom = area
    for begin, end, height in zip(bars.edges, bars.edges[1:], bars.heights, strict=False):
        if height > 0:
            sides = [left + x.share(edge) * (right - left) for edge in (begin, end)]
            box = (sides[0], bottom - y.share(height) * (bottom - top), sides[1], bottom)
            scaled = [round(place * OVERSAMPLING) for place in box]
            draw.rectangle(scaled, fill=bars.colour, outline=PAPER, width=OVERSAMPLING)


def _draw_series(
    draw: ImageDraw.ImageDraw, points: Sequence[tuple[float, float]], one: Series
) -> None:
    if one.line_px:
        _line(draw, points, one.colour, one.line_px)
    for x, y in points:
        _mark(draw, x, y, one)


def _mark(draw: ImageDraw.ImageDraw, x: float, y: float, one: Series) -> None:
    r = 3.6
    corners = {
        "square": [(-r, -r), (r, -r), (r, r), (-r, r)],
        "triangle": [(0, -r * 1.3), (r * 1.2, r), (-r * 1.2, r)],
    }
    if one.marker == "circle":
        box = [(x + d) * OVERSAMPLING for d in (-r, r)]
        tall = [(y + d) * OVERSAMPLING for d in (-r, r)]
        draw.ellipse((box[0], tall[0], box[1], tall[1]), fill=one.colour, outline=PAPER)
    elif one.marker:
        shape = [
            ((x + dx) * OVERSAMPLING, (y + dy) * OVERSAMPLING) for dx, dy in corners[one.marker]
        ]
        draw.polygon(shape, fill=one.colour, outline=PAPER)


def _line(
    draw: ImageDraw.ImageDraw, points: Sequence[tuple[float, float]], colour: Colour, width: float
) -> None:
    scaled = [(x * OVERSAMPLING, y * OVERSAMPLING) for x, y in points]
    draw.line(scaled, fill=colour, width=round(width * OVERSAMPLING), joint="curve")


def _text(
    draw: ImageDraw.ImageDraw,
    at: tuple[float, float],
    text: str,
    *,
    size_px: int = TEXT_PX,
    anchor: str = "lt",
) -> None:
    place = (at[0] * OVERSAMPLING, at[1] * OVERSAMPLING)
    draw.text(place, drawable(text), fill=INK, font=_font(size_px), anchor=anchor)


@cache
def _font(size_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size_px * OVERSAMPLING)


@cache
def _has_letter(letter: str) -> bool:
    """Whether the font shows more than the box that stands for all it does not know."""
    font = _font(TEXT_PX)
    return bytes(font.getmask(letter)) != bytes(font.getmask("\uffff"))


def _sheet(width_px: int, height_px: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("RGB", (width_px * OVERSAMPLING, height_px * OVERSAMPLING), PAPER)
    return image, ImageDraw.Draw(image)


def _shrunk(image: Image.Image) -> Image.Image:
    return image.reduce(OVERSAMPLING)
