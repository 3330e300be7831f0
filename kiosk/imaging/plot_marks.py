"""Lines, dots and texts of a drawing, which becomes a picture or an SVG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

from PIL import Image, ImageDraw, ImageFont

from kiosk.imaging.charts import INK, PAPER, Colour, drawable

# Everything is drawn larger and shrunk at the end, which smooths all edges at once.
OVERSAMPLING = 2
DASH_PX = 3.0
_ANCHORS = {"l": "start", "m": "middle", "r": "end"}
# How far below its middle the baseline of a line of text lies, as a share of its size.
_BASELINE = 0.35


@dataclass(frozen=True)
class Line:
    """From (x, y) to (x, y) in pixels of the drawing."""

    start: tuple[float, float]
    end: tuple[float, float]
    colour: Colour
    width_px: float = 1.5
    is_dashed: bool = False


@dataclass(frozen=True)
class Dot:
    """A filled circle."""

    centre: tuple[float, float]
    radius_px: float
    colour: Colour


@dataclass(frozen=True)
class Text:
    """A line of text; `anchor` says which of its points is at (x, y): l, m or r, at mid-height."""

    at: tuple[float, float]
    text: str
    size_px: float = 13
    anchor: str = "l"
    colour: Colour = INK


@dataclass
class Drawing:
    """Marks on paper of this size, later ones on top."""

    width_px: int
    height_px: int
    marks: list[Line | Dot | Text] = field(default_factory=list)

    def add(self, marks: Sequence[Line | Dot | Text]) -> None:
        self.marks += marks


def draw_picture(drawing: Drawing) -> Image.Image:
    """The drawing as an RGB picture."""
    size = (drawing.width_px * OVERSAMPLING, drawing.height_px * OVERSAMPLING)
    image = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(image)
    fonts: dict[float, ImageFont.FreeTypeFont | ImageFont.ImageFont] = {}
    for mark in drawing.marks:
        if isinstance(mark, Line):
            width = max(1, round(mark.width_px * OVERSAMPLING))
            for start, end in _dashes(mark):
                draw.line([_scaled(start), _scaled(end)], fill=mark.colour, width=width)
        elif isinstance(mark, Dot):
            x, y = _scaled(mark.centre)
            r = mark.radius_px * OVERSAMPLING
            draw.ellipse((x - r, y - r, x + r, y + r), fill=mark.colour)
        else:
            if mark.size_px not in fonts:
                fonts[mark.size_px] = ImageFont.load_default(mark.size_px * OVERSAMPLING)
            anchor, text = f"{mark.anchor}m", drawable(mark.text)
            draw.text(_scaled(mark.at), text, mark.colour, fonts[mark.size_px], anchor)
    return image.reduce(OVERSAMPLING)


def draw_svg(drawing: Drawing) -> str:
    """The drawing as an SVG document; texts stay texts, lines can be edited."""
    width, height = drawing.width_px, drawing.height_px
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
        f' viewBox="0 0 {width} {height}" font-family="sans-serif">',
        f'<rect width="{width}" height="{height}" fill="{_hex(PAPER)}"/>',
        *map(_svg_mark, drawing.marks),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _svg_mark(mark: Line | Dot | Text) -> str:
    if isinstance(mark, Line):
        (x1, y1), (x2, y2) = mark.start, mark.end
        dashes = f' stroke-dasharray="{DASH_PX:g}"' if mark.is_dashed else ""
        return (
            f'<line x1="{x1:.5g}" y1="{y1:.5g}" x2="{x2:.5g}" y2="{y2:.5g}"'
            f' stroke="{_hex(mark.colour)}" stroke-width="{mark.width_px:g}"{dashes}/>'
        )
    if isinstance(mark, Dot):
        x, y = mark.centre
        fill = _hex(mark.colour)
        return f'<circle cx="{x:.5g}" cy="{y:.5g}" r="{mark.radius_px:g}" fill="{fill}"/>'
    x, y = mark.at
    return (
        f'<text x="{x:.5g}" y="{y + _BASELINE * mark.size_px:.5g}" font-size="{mark.size_px:g}"'
        f' text-anchor="{_ANCHORS[mark.anchor]}" fill="{_hex(mark.colour)}">'
        f"{escape(mark.text)}</text>"
    )


def _dashes(line: Line) -> Iterator[tuple[tuple[float, float], tuple[float, float]]]:
    """The pieces of a line that are drawn."""
    if not line.is_dashed:
        yield line.start, line.end
        return
    (x1, y1), (x2, y2) = line.start, line.end
    length = max(abs(x2 - x1), abs(y2 - y1))
    at = 0.0
    while at < length:
        a, b = at / length, min(1.0, (at + DASH_PX) / length)
        yield (
            (x1 + a * (x2 - x1), y1 + a * (y2 - y1)),
            (x1 + b * (x2 - x1), y1 + b * (y2 - y1)),
        )
        at += 2 * DASH_PX


def _scaled(place: tuple[float, float]) -> tuple[float, float]:
    return place[0] * OVERSAMPLING, place[1] * OVERSAMPLING


def _hex(colour: Colour) -> str:
    return "#" + "".join(f"{part:02x}" for part in colour)
