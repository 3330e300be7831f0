"""What the viewer of the web page shows: planes of a job's image and the labels found in them.

Pictures and labels are shrunk alike, so a label lies exactly over its pixels. The labels are sent
as numbers and not as a picture: the page draws outlines at any zoom and knows each instance.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Container
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import tifffile

from kiosk.access import job_of
from kiosk.callers import Caller
from kiosk.errors import InvalidRequest, NotFound, WrongState
from kiosk.exports import chosen_formats
from kiosk.exports.tracks import chosen_track_formats
from kiosk.imaging.rendering import display_plane, display_size, encode_png, shrunk_labels
from kiosk.jobs import Job, JobState, result_stem, results_prefix
from kiosk.models import ModelCard
from kiosk.pipelines.channels import choose_channels, shown_channels
from kiosk.pipelines.context import OpenImages
from kiosk.pipelines.label_planes import small_pixels
from kiosk.pipelines.planes import plane_places
from kiosk.ports import ImageFiles, ImageSource, JobQueue, ObjectStore
from kiosk.request import SegmentationRequest

LONGEST_PX = 1600
# Pictures made at a time: a plane may take a gigabyte, and the pages of a stack come in a burst.
AT_A_TIME = 2
# A slide without smaller resolutions is read whole for its picture: gigapixels within this.
PATIENCE_S = 60.0


@dataclass(frozen=True, kw_only=True)
class PlaneList:
    """The planes of an image in the order in which they are segmented, t outside and z inside.

    Attributes:
        width_px, height_px: size of a plane as it is in the file.
        picture_width_px, picture_height_px: size of pictures and labels.
        planes: one (t, z) per plane; its place here is its index.
        channels: names of the channels that are shown, those that were segmented.
        has_labels: whether there is a label image.
    """

    width_px: int
    height_px: int
    picture_width_px: int
    picture_height_px: int
    planes: tuple[tuple[int, int], ...]
    channels: tuple[str, ...]
    pixel_size_um: tuple[float, float] | None
    has_labels: bool


@dataclass(frozen=True, kw_only=True)
class LabelPicture:
    """Labels of one plane: (height_px, width_px) little-endian uint32, as gzip."""

    width_px: int
    height_px: int
    data: bytes


class Previews:
    """Planes, pictures and labels of jobs. Raises KioskErrors with a sentence for the user."""

    def __init__(self, *, queue: JobQueue, store: ObjectStore, images: ImageFiles) -> None:
        self._queue = queue
        self._store = store
        self._images = OpenImages(store, images)
        self._slots = asyncio.Semaphore(AT_A_TIME)

    async def planes(self, job_id: str, *, caller: Caller) -> PlaneList:
        """What there is to see. Raises NotFound when the job or its image is gone."""
        job = await job_of(self._queue, job_id, caller=caller)
        async with self._image(job) as source:
            height, width = source.sizes["y"], source.sizes["x"]
            picture_height, picture_width = display_size(height, width, LONGEST_PX)
            return PlaneList(
                width_px=width,
                height_px=height,
                picture_width_px=picture_width,
                picture_height_px=picture_height,
                planes=tuple(plane_places(source.sizes)),
                channels=tuple(source.channel_names[i] for i in _channels(source, job)),
                pixel_size_um=source.pixel_size_um,
                has_labels=job.state is JobState.SUCCEEDED and "labels" in _formats(job),
            )

    async def picture(self, job_id: str, index: int, *, caller: Caller) -> bytes:
        """One plane as PNG, contrast stretched. Raises NotFound."""
        job = await job_of(self._queue, job_id, caller=caller)
        async with self._slots:
            async with self._image(job) as source:
                places = plane_places(source.sizes)
                if not 0 <= index < len(places):
                    raise _no_plane(index, len(places))
                plane = await asyncio.to_thread(
                    small_pixels,
                    source,
                    places[index],
                    _channels(source, job),
                    LONGEST_PX,
                    patience_s=PATIENCE_S,
                )
            return await asyncio.to_thread(lambda: encode_png(display_plane(plane, LONGEST_PX)))

    async def labels(self, job_id: str, index: int, *, caller: Caller) -> LabelPicture:
        """Labels of one plane. Raises NotFound, and WrongState before the job has succeeded."""
        job = await job_of(self._queue, job_id, caller=caller)
        if job.state is not JobState.SUCCEEDED:
            raise WrongState(
                f"The job is {job.state.value} and has no labels.", reason="NO_RESULTS"
            )
        key = f"{results_prefix(job_id)}{result_stem(job.file_name)}_labels.tif"
        async with self._slots:
            return await asyncio.to_thread(self._read_labels, key, index)

    def close(self) -> None:
        self._images.close()

    def _read_labels(self, key: str, index: int) -> LabelPicture:
        try:
            file: BinaryIO = self._store.open(key)
        except NotFound as error:
            raise NotFound(
                "The label image of this job is no longer there.", reason="RESULT_GONE"
            ) from error
        with file, tifffile.TiffFile(file) as tiff:
            if not 0 <= index < len(tiff.pages):
                raise _no_plane(index, len(tiff.pages))
            page = tiff.pages[index]
            # The size of the picture, from which a smaller resolution may be off by a pixel.
            shape = display_size(page.shape[0], page.shape[1], LONGEST_PX)
            small = shrunk_labels(_large_enough(page), shape)
        # Level 1: labels are long runs of one number, which any level packs well.
        data = gzip.compress(small.astype("<u4").tobytes(), compresslevel=1, mtime=0)
        return LabelPicture(width_px=small.shape[1], height_px=small.shape[0], data=data)

    @asynccontextmanager
    async def _image(self, job: Job) -> AsyncIterator[ImageSource]:
        reading = _request(job).reading
        try:
            async with self._images.use(job.upload_id, job.file_name, reading) as source:
                yield source
        except InvalidRequest as error:
            if error.reason != "UPLOAD_GONE":
                raise
            # For this caller it is not the request that is wrong: something is not there.
            raise NotFound(
                "The image of this job is no longer there.", reason=error.reason
            ) from error


def _request(job: Job) -> SegmentationRequest:
    return SegmentationRequest.from_parameters(job.parameters)


def _formats(job: Job) -> Container[str]:
    """Names of the results of a job."""
    chosen = chosen_track_formats if job.pipeline == "tracking" else chosen_formats
    return chosen(_request(job).formats)


def _channels(source: ImageSource, job: Job) -> list[int]:
    """The channels that were segmented, also when the model server is away or has moved on.

    The job was accepted, so an image of several channels with none chosen can only be a colour
    image for a model that takes colour; nothing else of the model matters here.
    """
    if not job.model:  # its labels were given
        return shown_channels(source, _request(job).channel)
    stand_in = ModelCard(
        name=job.model, versions=(job.model_version,), pipeline=job.pipeline, accepts_rgb=True
    )
    return choose_channels(source, stand_in, _request(job).channel)


def _large_enough(page: Any) -> np.ndarray[Any, Any]:
    """The labels of a page, of the smallest resolution that a picture can be made from."""
    # Only the first page is known to tifffile in full; the others may have differing tags.
    page = page.aspage()
    smaller = [page, *(page.pages or ())]
    wanted = [item for item in smaller if max(item.shape) >= LONGEST_PX]
    labels: np.ndarray[Any, Any] = (wanted[-1] if wanted else page).asarray()
    return labels


def _no_plane(index: int, count: int) -> NotFound:
    return NotFound(
        f"There is no plane {index}; the image has {count}, counted from 0.",
        reason="PLANE_NOT_FOUND",
        field="index",
    )
