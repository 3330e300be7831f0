"""Label images that are compared: the result of a job, or a file that somebody has uploaded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import tifffile

from kiosk.errors import InvalidRequest, NotFound
from kiosk.exports import FORMATS
from kiosk.figures.job_tables import result_key, run_record
from kiosk.imaging.masks import mask_labels
from kiosk.imaging.shared_labels import is_picture
from kiosk.jobs import Job
from kiosk.pipelines.planes import plane_places
from kiosk.ports import ImageSource, ObjectStore, Window
from kiosk.request import Region

Place = tuple[int, int]


class LabelStack(Protocol):
    """Planes of labels; for use in one thread at a time.

    Attributes:
        name: how a sentence calls it.
        places: (t, z) of the planes that there are.
        shape: (y, x) of a plane.
        region: the part of every plane that has labels; None = all of it.
        is_part: only some planes of an image were asked for; the others are not missing.
    """

    name: str
    places: Sequence[Place]
    shape: tuple[int, int]
    region: Region | None
    is_part: bool

    def read(self, number: int, window: Window) -> np.ndarray:
        """(y, x) unsigned labels of a window of a plane, 0 = background."""


class JobLabels:
    """`LabelStack` over the label image of a finished job."""

    def __init__(self, tiff: tifffile.TiffFile, record: dict[str, Any], name: str) -> None:
        sizes, listed = record["image"]["sizes"], record.get("planes")
        places = plane_places(sizes)
        if listed is not None:
            places = [(plane["t"], plane["z"]) for plane in listed]
        region = record.get("region")
        self.name = name
        self.places: Sequence[Place] = places
        self.shape = (sizes["y"], sizes["x"])
        self.region: Region | None = Region(**region) if region else None
        self.is_part = len(places) < sizes["t"] * sizes["z"]
        self._tiff = tiff

    def read(self, number: int, window: Window) -> np.ndarray:
        # Only the first page is known to tifffile in full; the others may have differing tags.
        labels: np.ndarray = self._tiff.pages[number].aspage().asarray()
        return labels[window]


@contextmanager
def job_labels(store: ObjectStore, job: Job, name: str) -> Iterator[JobLabels]:
    """The label image of a job, opened in a thread.

    Raises:
        NotFound: it has none (NO_LABELS).
    """
    try:
        file = store.open(result_key(job, FORMATS["labels"].ending))
    except NotFound as error:
        raise NotFound(
            f"{name[:1].upper()}{name[1:]} has no label image. Submit the image with the format"
            " 'labels', or name no formats.",
            reason="NO_LABELS",
        ) from error
    with file, tifffile.TiffFile(file) as tiff:
        yield JobLabels(tiff, run_record(store, job), name)


class UploadedLabels:
    """`LabelStack` over an uploaded file, which may hold anything."""

    region: Region | None = None
    is_part = False

    def __init__(self, source: ImageSource) -> None:
        """Raises InvalidRequest for a file that is obviously no label image."""
        sizes = source.sizes
        if source.is_rgb:
            raise _no_labels("it is a colour picture")
        if sizes["c"] != 1:
            raise _no_labels(f"it has {sizes['c']} channels, and labels have one")
        self.name = "the uploaded file"
        self.places: Sequence[Place] = plane_places(sizes)
        self.shape = (sizes["y"], sizes["x"])
        self._source = source

    def read(self, number: int, window: Window) -> np.ndarray:
        plane = self._source.plane(*self.places[number], [0], window)[0]
        try:
            labels = mask_labels(plane)
        except InvalidRequest as error:
            raise _no_labels("it has negative numbers or fractions") from error
        if is_picture(labels):
            raise _no_labels("its numbers are in specks all over, as the grey values of a picture")
        return labels


def _no_labels(why: str) -> InvalidRequest:
    return InvalidRequest(
        f"The uploaded file is no label image: {why}. Save one whole number per pixel: 0 where"
        " nothing is, and for each object a number of its own.",
        reason="BAD_LABELS",
        field="with",
    )
