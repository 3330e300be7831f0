"""Label images that are compared: the result of a job, or a file that somebody has uploaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kiosk.errors import InvalidRequest, NotFound
from kiosk.exports import FORMATS
from kiosk.figures.job_tables import result_key
from kiosk.imaging.masks import mask_labels
from kiosk.imaging.shared_labels import is_picture
from kiosk.jobs import Job
from kiosk.pipelines.context import Origin
from kiosk.pipelines.planes import plane_places
from kiosk.ports import ImageSource, Window
from kiosk.request import Region

Place = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class LabelStack:
    """Planes of labels.

    Attributes:
        name: how a sentence calls it.
        origin: where they lie.
        sizes: lengths of the axes, as in `ports.ImageSource`.
        places: (t, z) of each plane in the image that was labelled.
        region: the part of every plane that was looked at; None = all of it.
        is_part: only some planes of an image were asked for; the others are not missing.
    """

    name: str
    origin: Origin
    sizes: Mapping[str, int]
    places: Sequence[Place]
    region: Region | None = None
    is_part: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """(y, x) of a plane."""
        return self.sizes["y"], self.sizes["x"]

    def read(self, source: ImageSource, number: int, window: Window) -> np.ndarray:
        """(y, x) unsigned labels of a window of a plane, for use in a thread.

        Raises:
            InvalidRequest: there are values that are no labels.
        """
        labels = source.plane(*divmod(number, self.sizes["z"]), [0], window)[0]
        try:
            labels = mask_labels(labels)
        except InvalidRequest as error:
            raise _no_labels(self.name, "it has negative numbers or fractions") from error
        if is_picture(labels):
            raise _no_labels(
                self.name, "its numbers are in specks all over, as the grey values of a picture"
            )
        return labels


def origin_of_labels(job: Job) -> Origin:
    """Where the label image of a job lies, if it has one."""
    ending = FORMATS["labels"].ending
    return Origin(file_name=ending, key=result_key(job, ending))


def job_labels(
    name: str, origin: Origin, source: ImageSource, record: Mapping[str, Any]
) -> LabelStack:
    """The label image of a job, of which the record says how it was made."""
    sizes, listed, region = (record["image"]["sizes"], *map(record.get, ("planes", "region")))
    places = [(plane["t"], plane["z"]) for plane in listed] if listed else plane_places(sizes)
    return LabelStack(
        name=name,
        origin=origin,
        sizes=dict(source.sizes),
        places=places,
        region=Region(**region) if region else None,
        is_part=len(places) < sizes["t"] * sizes["z"],
    )


def uploaded_labels(origin: Origin, source: ImageSource) -> LabelStack:
    """An uploaded file as labels. Raises InvalidRequest when it obviously has none."""
    name, sizes = "the uploaded file", dict(source.sizes)
    if source.is_rgb:
        raise _no_labels(name, "it is a colour picture")
    if sizes["c"] != 1:
        raise _no_labels(name, f"it has {sizes['c']} channels, and labels have one")
    return LabelStack(name=name, origin=origin, sizes=sizes, places=plane_places(sizes))


def no_label_image(name: str) -> NotFound:
    """The error for a job without one."""
    return NotFound(
        f"{_begun(name)} has no label image. Submit the image with the format 'labels', or name no"
        " formats.",
        reason="NO_LABELS",
    )


def _no_labels(name: str, why: str) -> InvalidRequest:
    return InvalidRequest(
        f"{_begun(name)} is no label image: {why}. Save one whole number per pixel: 0 where nothing"
        " is, and for each object a number of its own.",
        reason="BAD_LABELS",
        field="with",
    )


def _begun(name: str) -> str:
    return name[:1].upper() + name[1:]
