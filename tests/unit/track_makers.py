"""Made-up tracked movies, and writers of tracks driven as a join drives them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from result_makers import result_image

from kiosk.exports.tracks.tracked_plane import TrackedPlane
from kiosk.exports.tracks.writer import TrackedFrame, TrackWriter
from kiosk.exports.writer import ResultImage
from kiosk.imaging.lineage import Lineage, lineage_from_tracks
from kiosk.imaging.measurements import column_names, measure
from kiosk.testing import MemoryPlane

# Row of the image, first and last frame; frames in which it is not seen; column in the first frame.
CELLS: Mapping[int, tuple[int, int, int, tuple[int, ...], int]] = {
    1: (8, 0, 4, (), 10),  # divides into 2 and 3
    2: (5, 5, 9, (), 16),
    3: (12, 5, 7, (), 16),  # divides into 4 and 5
    4: (10, 8, 9, (), 20),
    5: (15, 8, 9, (), 20),
    6: (28, 0, 9, (4, 5), 10),  # not seen for two frames
    7: (36, 2, 6, (), 1),  # comes in at the border
}
PARENTS = {2: 1, 3: 1, 4: 3, 5: 3}
FRAMES, HEIGHT, WIDTH = 10, 44, 48


def movie(frames: int = FRAMES) -> list[MemoryPlane]:
    """Squares of 4 px that move to the right, 1 px per frame; labels are tracks."""
    planes = []
    for t in range(frames):
        labels = np.zeros((HEIGHT, WIDTH), np.uint32)
        for track, (y, first, last, unseen, x) in CELLS.items():
            if first <= t <= last and t not in unseen:
                left = max(0, x + t - first - 2)
                labels[y - 2 : y + 2, left : x + t - first + 2] = track
        pixels = (100 + 50 * (labels > 0) + t)[None].astype(np.uint16)
        planes.append(MemoryPlane(labels, pixels, t=t))
    return planes


def movie_image(planes: Sequence[MemoryPlane], **changes: Any) -> ResultImage:
    image = result_image(planes, **changes)
    columns = ("t", *column_names(image.channel_names, image.pixel_size_um))
    return ResultImage(**{**vars(image), "columns": columns})


def lineage_of(
    planes: Sequence[MemoryPlane],
    parents: Mapping[int, int] = PARENTS,
    confidence: float | None = None,
) -> Lineage:
    """The lineage of planes whose labels are tracks."""
    labels = [np.unique(plane.labels()) for plane in planes]
    labels = [found[found > 0].astype(np.int64) for found in labels]
    frame = np.repeat(np.arange(len(planes)), [len(found) for found in labels])
    every = np.concatenate(labels)
    sure = None if confidence is None else np.full(len(every), confidence)
    return lineage_from_tracks(frame, every, every, parents, sure)


def tracked_frames(
    planes: Sequence[MemoryPlane], image: ResultImage, lineage: Lineage
) -> list[TrackedFrame]:
    frames = []
    for plane in planes:
        tracked = TrackedPlane(plane, lineage)
        names = image.channel_names
        table = measure(
            tracked.labels(), plane.pixels(range(len(names))), names, image.pixel_size_um
        )
        rows = {**table, "t": np.full(len(table["label"]), plane.t), "track_id": table["label"]}
        frames.append(TrackedFrame(t=plane.t, planes=[tracked], table=rows))
    return frames


def write_tracks(
    writer: Callable[[Path, ResultImage, Lineage], TrackWriter],
    path: Path,
    frames: Sequence[TrackedFrame],
    image: ResultImage,
    lineage: Lineage,
) -> Path:
    made = writer(path, image, lineage)
    for frame in frames:
        made.add_frame(frame)
    made.close()
    return path
