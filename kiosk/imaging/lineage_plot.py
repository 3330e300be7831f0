"""The lineage plot: time to the right, one line per track, a branch at every division."""

from __future__ import annotations

import numpy as np

from kiosk.imaging.charts import FAINT, INK, PALETTE, Colour, even_axis
from kiosk.imaging.doubtful_links import DOUBTFUL_BELOW
from kiosk.imaging.lineage import Lineage
from kiosk.imaging.lineage_layout import LineageLayout, lay_out
from kiosk.imaging.plot_marks import Dot, Drawing, Line, Text

WIDTH_PX = 1200
LEFT_PX, RIGHT_PX, TOP_PX, BOTTOM_PX = 64, 24, 78, 56
PLOT_PX = WIDTH_PX - LEFT_PX - RIGHT_PX
# Lines are this far apart: where there are few of them, and where there are many.
WIDE_PX, NARROW_PX = 22.0, 6.0
ROOMY_HEIGHT_PX = 900
# Numbers of tracks are written where lines are at least this far apart.
NUMBERED_PX = 9.0
DIVIDING: Colour = PALETTE[0]
SINGLE: Colour = (130, 130, 130)
DOUBTFUL: Colour = PALETTE[3]
MOST_TICKS = 12
S_PER_H = 3600.0


def lineage_plot(
    lineage: Lineage, frames: int, title: str, frame_interval_s: float | None = None
) -> Drawing:
    """Families that divide come first. Gaps are dashed, links of low confidence are coloured.

    Args:
        lineage: without violations.
        frames: frames of the movie.
        title: what the movie is called.
        frame_interval_s: seconds between frames, for an axis in hours.
    """
    layout = lay_out(lineage)
    pitch = min(WIDE_PX, max(NARROW_PX, ROOMY_HEIGHT_PX / max(1, layout.lines)))
    height = round(TOP_PX + max(1, layout.lines) * pitch + BOTTOM_PX)
    drawing = Drawing(WIDTH_PX, height)
    place = _Place(frames, pitch)
    drawing.add(_grid(place, height, frames, frame_interval_s))
    drawing.add(_heading(lineage, layout, title))
    for number in range(len(layout.row)):
        drawing.add(_branch(lineage, layout, number, place))
    order = np.argsort(lineage.track, kind="stable")
    firsts = np.searchsorted(lineage.track[order], lineage.track_id[layout.row])
    ends = np.searchsorted(lineage.track[order], lineage.track_id[layout.row], "right")
    for number, (first, end) in enumerate(zip(firsts, ends, strict=True)):
        drawing.add(_track(lineage, layout, number, order[first:end], place))
    return drawing


class _Place:
    """Where frames and lines are on the drawing."""

    def __init__(self, frames: int, pitch: float) -> None:
        self.pitch = pitch
        self._step = PLOT_PX / max(1, frames - 1)

    def x(self, frame: float) -> float:
        return LEFT_PX + frame * self._step

    def y(self, height: float) -> float:
        return TOP_PX + (height + 0.5) * self.pitch


def _track(
    lineage: Lineage, layout: LineageLayout, number: int, instances: np.ndarray, place: _Place
) -> list[Line | Dot | Text]:
    """The line of a track, with its gaps, its doubtful links and its number."""
    row = int(layout.row[number])
    y, colour = place.y(layout.height[number]), _colour(lineage, row)
    frame, confidence = lineage.frame[instances], lineage.confidence[instances]
    gaps = np.flatnonzero(np.diff(frame) > 1)
    marks: list[Line | Dot | Text] = []
    begins = [int(frame[0]), *frame[gaps + 1].tolist()]
    for begin, end in zip(begins, [*frame[gaps].tolist(), int(frame[-1])], strict=True):
        marks.append(Line((place.x(begin), y), (place.x(end), y), colour, 2))
    for at in gaps.tolist():
        x = place.x(frame[at]), place.x(frame[at + 1])
        is_doubtful = confidence[at + 1] < DOUBTFUL_BELOW
        shown = DOUBTFUL if is_doubtful else colour
        marks.append(Line((x[0], y), (x[1], y), shown, 2, is_dashed=True))
    steps = np.diff(frame) == 1
    for at in (np.flatnonzero(steps & (confidence[1:] < DOUBTFUL_BELOW))).tolist():
        marks.append(Line((place.x(frame[at]), y), (place.x(frame[at + 1]), y), DOUBTFUL, 2.6))
    if frame[0] == frame[-1]:
        marks.append(Dot((place.x(int(frame[0])), y), 2, colour))
    if place.pitch >= NUMBERED_PX:
        at_x = place.x(int(frame[0])) - 5
        size = min(12.0, place.pitch * 0.8)
        number_text = Text((at_x, y), str(lineage.track_id[row]), size, "r")
        marks.append(number_text if layout.parent[number] < 0 else _below(number_text, place))
    return marks


def _below(text: Text, place: _Place) -> Text:
    """The number of a daughter stands to the right, above its line: left is the branch."""
    x, y = text.at
    return Text((x + 9, y - place.pitch * 0.36), text.text, text.size_px * 0.85, "l", INK)


def _branch(
    lineage: Lineage, layout: LineageLayout, number: int, place: _Place
) -> list[Line | Dot | Text]:
    """From the end of the mother down or up to the daughter, and over to its first frame."""
    parent = int(layout.parent[number])
    if parent < 0:
        return []
    row, mother = int(layout.row[number]), int(layout.row[parent])
    first, last = int(lineage.first_frame[row]), int(lineage.last_frame[mother])
    here = lineage.instances_of(first)
    confidence = lineage.confidence[here][lineage.track[here] == lineage.track_id[row]]
    is_doubtful = bool(np.any(confidence < DOUBTFUL_BELOW))
    colour = DOUBTFUL if is_doubtful else _colour(lineage, row)
    corner = (place.x(last), place.y(layout.height[number]))
    top = (place.x(last), place.y(layout.height[parent]))
    end = (place.x(first), corner[1])
    return [
        Line(top, corner, colour, 2),
        Line(corner, end, colour, 2, is_dashed=first - last > 1),
        Dot(top, 2.5, DIVIDING),
    ]


def _colour(lineage: Lineage, row: int) -> Colour:
    has_mother = lineage.parent_id[row] != 0
    is_mother = has_mother or np.any(lineage.parent_id == lineage.track_id[row])
    return DIVIDING if is_mother else SINGLE


def _grid(
    place: _Place, height: int, frames: int, frame_interval_s: float | None
) -> list[Line | Dot | Text]:
    bottom = height - BOTTOM_PX
    marks: list[Line | Dot | Text] = []
    axis = even_axis("frame", 0, max(1, frames - 1), MOST_TICKS)
    for tick in axis.ticks:
        if tick != int(tick):
            continue
        x = place.x(tick)
        text = f"{tick:g}"
        if frame_interval_s is not None:
            text += f"  ({tick * frame_interval_s / S_PER_H:.3g} h)"
        marks += [Line((x, TOP_PX), (x, bottom), FAINT, 1), Text((x, bottom + 14), text, 12, "m")]
    marks.append(Line((LEFT_PX, bottom), (WIDTH_PX - RIGHT_PX, bottom), INK, 1))
    marks.append(Text((LEFT_PX + PLOT_PX / 2, bottom + 36), "frame", 13, "m"))
    return marks


def _heading(lineage: Lineage, layout: LineageLayout, title: str) -> list[Line | Dot | Text]:
    divisions = int(np.sum(lineage.daughter_counts() > 1))
    counts = f"{len(lineage.track_id):,} tracks, {divisions:,} divisions"
    marks: list[Line | Dot | Text] = [
        Text((16, 20), title, 17),
        Text((16, 42), counts + _left_out(layout), 13),
    ]
    x = 16.0
    for name, colour, is_dashed, room in (
        ("families that divide", DIVIDING, False, 210),
        ("other cells", SINGLE, False, 150),
        ("not found in these frames", SINGLE, True, 240),
        (f"doubtful link (confidence below {DOUBTFUL_BELOW:g})", DOUBTFUL, False, 0),
    ):
        marks.append(Line((x, 63), (x + 28, 63), colour, 2.4, is_dashed))
        marks.append(Text((x + 36, 63), name, 12))
        x += room
    return marks


def _left_out(layout: LineageLayout) -> str:
    """A sentence on what has no room; nothing where all is drawn."""
    if not layout.tracks_left_out:
        return ""
    return (
        f"; the largest families are drawn ({len(layout.row):,} tracks),"
        f" {layout.tracks_left_out:,} tracks have no room here"
    )
