"""Label images that are compared: the result of a job, or a file that somebody has uploaded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from kiosk.errors import InvalidRequest, NotFound
from kiosk.exports import FORMATS
from kiosk.figures.job_tables import result_key, run_record
from kiosk.imaging.masks import mask_labels
from kiosk.imaging.shared_labels import is_picture
from kiosk.jobs import Job
from kiosk.pipelines.planes import plane_places
from kiosk.ports import ImageFiles, ImageSource, ObjectStore, Window
from kiosk.request import Region

Place = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class LabelStack:
    """Planes of labels; for use in one thread at a time.

    Attributes:
        name: how a sentence calls it.
        source: the planes, one after another.
        places: (t, z) of each plane in the image that was labelled.
        region: the part of every plane that was looked at; None = all of it.
        is_part: only some planes of an image were asked for; the others are not missing.
    """

    name: str
    source: ImageSource
    places: Sequence[Place]
    region: Region | None = None
    is_part: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """(y, x) of a plane."""
        return self.source.sizes["y"], self.source.sizes["x"]

    def read(self, number: int, window: Window) -> np.ndarray:
        """(y, x) unsigned labels of a window of a plane. Raises InvalidRequest for other values."""
        place = divmod(number, self.source.sizes["z"])
        labels = self.source.plane(*place, [0], window)[0]
        try:
            labels = mask_labels(labels)
        except InvalidRequest as error:
            raise _no_labels(self.name, "it has negative numbers or fractions") from error
        if is_picture(labels):
            raise _no_labels(
                self.name, "its numbers are in specks all over, as the grey values of a picture"
            )
        return labels


@contextmanager
def job_labels(store: ObjectStore, images: ImageFiles, job: Job, name: str) -> Iterator[LabelStack]:
    """The label image of a job; entered in a thread.

    Raises:
        NotFound: it has none (NO_LABELS).
    """
    ending = FORMATS["labels"].ending
    try:
        file = store.open(result_key(job, ending))
    except NotFound as error:
        raise NotFound(
            f"{name[:1].upper()}{name[1:]} has no label image. Submit the image with the format"
            " 'labels', or name no formats.",
            reason="NO_LABELS",
        ) from error
    try:
        source = images.open(file, ending)
    except BaseException:
        file.close()
        raise
    try:
        record = run_record(store, job)
        sizes, listed, region = (record["image"]["sizes"], *map(record.get, ("planes", "region")))
        places = [(plane["t"], plane["z"]) for plane in listed] if listed else plane_places(sizes)
        yield LabelStack(
            name=name,
            source=source,
            places=places,
            region=Region(**region) if region else None,
            is_part=len(places) < sizes["t"] * sizes["z"],
        )
    finally:
        source.close()


def uploaded_labels(source: ImageSource) -> LabelStack:
    """An uploaded file as labels. Raises InvalidRequest when it obviously has none."""
    name, channels = "the uploaded file", source.sizes["c"]
    if source.is_rgb:
        raise _no_labels(name, "it is a colour picture")
    if channels != 1:
        raise _no_labels(name, f"it has {channels} channels, and labels have one")
    return LabelStack(name=name, source=source, places=plane_places(source.sizes))


def _no_labels(name: str, why: str) -> InvalidRequest:
    return InvalidRequest(
        f"{name[:1].upper()}{name[1:]} is no label image: {why}. Save one whole number per pixel: 0"
        " where nothing is, and for each object a number of its own.",
        reason="BAD_LABELS",
        field="with",
    )
