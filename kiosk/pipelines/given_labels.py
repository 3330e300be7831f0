"""Label images that a job's owner brings along: read, checked and measured frame by frame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractAsyncContextManager

import numpy as np

from kiosk.errors import InvalidRequest
from kiosk.imaging.masks import HIGHEST_LABEL, mask_labels
from kiosk.imaging.measurements import measure
from kiosk.imaging.shared_labels import is_picture
from kiosk.imaging.volume_measurements import VolumeMeasurements
from kiosk.pipelines.context import JobContext
from kiosk.pipelines.label_planes import each_channel
from kiosk.ports import ImageSource


def open_labels(context: JobContext) -> AbstractAsyncContextManager[ImageSource]:
    """The label images of a job, for one user at a time."""
    return context.images.use(context.tracking.labels, context.tracking.labels_name)


def check_labels(labels: ImageSource, sizes: Mapping[str, int]) -> None:
    """Raise InvalidRequest unless there is a label image for every frame of a movie."""
    frames = _frames(labels, sizes)
    if frames != sizes["t"]:
        raise _unfit(f"they have {_count(frames)}, and the movie {_count(sizes['t'])}")
    depth = _depth(labels, sizes)
    if depth != sizes["z"]:
        raise _unfit(
            f"they have {depth} planes along z, and the movie {sizes['z']}. Give labels in 3-D for"
            " a stack in 3-D, or project both along z first"
        )
    wrong = [axis for axis in "yx" if labels.sizes[axis] != sizes[axis]]
    if wrong:
        raise _unfit(
            f"they are {labels.sizes['y']} x {labels.sizes['x']} pixels, and the movie"
            f" {sizes['y']} x {sizes['x']}"
        )
    if labels.sizes["c"] != 1:
        raise _unfit(f"they have {labels.sizes['c']} channels; labels have one")


def read_frame_labels(labels: ImageSource, t: int, sizes: Mapping[str, int]) -> np.ndarray:
    """(y, x) uint32 labels of a frame, or (z, y, x) of one in 3-D.

    Raises:
        InvalidRequest: there are values that are no labels.
    """
    is_z_time = _is_z_time(labels, sizes)
    places = [(0, t)] if is_z_time else [(t, z) for z in range(sizes["z"])]
    planes = [_labels(labels.plane(*place, [0])[0]) for place in places]
    found = np.stack(planes) if len(planes) > 1 else planes[0]
    if is_picture(found):
        raise InvalidRequest(
            "The label images look like pictures: their numbers are in specks all over. Give images"
            " in which all pixels of a cell have its number.",
            reason="BAD_LABELS",
            field="labels",
        )
    return found


def _labels(plane: np.ndarray) -> np.ndarray:
    try:
        return mask_labels(plane).astype(np.uint32)
    except InvalidRequest as error:
        raise InvalidRequest(
            "The label images have values that are no labels; use whole numbers from 0 (nothing)"
            f" to {HIGHEST_LABEL}.",
            reason="BAD_LABELS",
            field="labels",
        ) from error


def measure_frame(source: ImageSource, t: int | None, labels: np.ndarray) -> dict[str, np.ndarray]:
    """The table of a frame's instances, in 3-D where the labels are.

    Args:
        t: None = the frame cannot be read, and nothing is in it.
        labels: (y, x) or (z, y, x), 0 = background.
    """
    window = slice(0, source.sizes["y"]), slice(0, source.sizes["x"])

    def channels(z: int) -> Iterator[np.ndarray]:
        if t is None:
            return (np.zeros(labels.shape[-2:], np.uint8) for _ in source.channel_names)
        return each_channel(source, (t, z), window)

    if labels.ndim == 2:
        return measure(labels, channels(0), source.channel_names, source.pixel_size_um)
    # Volumes are measured by tables of all labels, which may be any numbers.
    numbers, compact = np.unique(labels, return_inverse=True)
    compact = compact.reshape(labels.shape).astype(np.uint32)
    if numbers[0] != 0:
        numbers, compact = np.append(0, numbers), compact + 1
    last_plane = np.zeros(len(numbers), np.int64)
    for z, plane in enumerate(compact):
        last_plane[np.unique(plane)] = z
    measured = VolumeMeasurements(
        last_plane,
        labels.shape,
        source.channel_names,
        source.pixel_size_um,
        source.z_step_um,
    )
    for z, plane in enumerate(compact):
        measured.add(z, plane, channels(z))
    columns = measured.columns()
    return {**columns, "label": numbers[columns["label"]]}


def _is_z_time(labels: ImageSource, sizes: Mapping[str, int]) -> bool:
    """Many programs write label images of a movie as a stack along z."""
    return labels.sizes["t"] == 1 and sizes["z"] == 1 and labels.sizes["z"] == sizes["t"]


def _frames(labels: ImageSource, sizes: Mapping[str, int]) -> int:
    return labels.sizes["z" if _is_z_time(labels, sizes) else "t"]


def _depth(labels: ImageSource, sizes: Mapping[str, int]) -> int:
    return 1 if _is_z_time(labels, sizes) else labels.sizes["z"]


def _count(frames: int) -> str:
    return "one frame" if frames == 1 else f"{frames} frames"


def _unfit(why: str) -> InvalidRequest:
    return InvalidRequest(
        f"The label images do not fit the movie: {why}.", reason="BAD_LABELS", field="labels"
    )
