"""What the viewer of the web page shows: images and labels of jobs and uploads, tile by tile.

Tiles of labels are numbers and not pictures: the viewer draws outlines at any zoom and knows each
instance. Tiles of images are grey values, so contrast and colours are the viewer's, too.
"""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np

from kiosk.access import finished_job_of, job_of
from kiosk.callers import Caller
from kiosk.errors import InvalidRequest, NotFound
from kiosk.image_info import ImageInfo, LevelSize, ShownChannel, TileAt
from kiosk.imaging.stored_values import plain_values
from kiosk.imaging.tile_grid import TILE_PX
from kiosk.jobs import Job, JobState, result_stem, results_prefix
from kiosk.models import ModelCard
from kiosk.pipelines.channels import choose_channels, shown_channels
from kiosk.pipelines.context import Origin
from kiosk.plane_pieces import PlanePieces, ShownImage
from kiosk.ports import ImageFiles, JobQueue, ObjectStore, Window
from kiosk.reading import ReadOptions
from kiosk.request import SegmentationRequest
from kiosk.uploads import Uploads

# Of an upload nobody has said which channels matter; more than a viewer can show are confusing.
MOST_SHOWN = 4


class Tiles:
    """Images and labels of jobs and uploads. Raises KioskErrors with a sentence for the user."""

    def __init__(
        self, *, queue: JobQueue, store: ObjectStore, images: ImageFiles, uploads: Uploads
    ) -> None:
        self._queue, self._store, self._uploads = queue, store, uploads
        self._pieces = PlanePieces(store, images)

    # ------------------------------------------------------------------ jobs

    async def job(self, job_id: str, *, caller: Caller) -> Job:
        """The job itself. Raises NotFound."""
        return await job_of(self._queue, job_id, caller=caller)

    async def job_image(self, job_id: str, *, caller: Caller) -> ImageInfo:
        """What there is to see of a job. Raises NotFound when there is nothing any more."""
        job = await self.job(job_id, caller=caller)
        names = {key for key, _ in await self._store.list(results_prefix(job.id))}
        has_labels = job.state is JobState.SUCCEEDED and _labels_key(job) in names
        try:
            async with _gone_is_not_found():
                image = await self._pieces.image(_image_of(job))
            shown = _segmented_channels(image, job)
        except NotFound:
            if not has_labels:
                raise
            image, shown = await self._only_labels(job), ()
        plane = _only_plane(job)
        return await self._info(
            image,
            shown,
            label_planes=(plane,) if plane else None,
            has_labels=has_labels,
            has_instances=any(
                name.endswith(("_instances.csv", "_instances.parquet", "_tracks.csv"))
                for name in names
            ),
            has_tracks=any(name.endswith("_tracks.csv") for name in names),
            labels_are_volumes=_are_volumes(job, image),
        )

    async def job_tile(self, job_id: str, at: TileAt, *, caller: Caller) -> bytes:
        """A tile of a job's image: (y, x) little-endian uint16, packed by gzip."""
        return await self._image_tile(await self.shown(job_id, caller=caller), at)

    async def job_labels(self, job_id: str, at: TileAt, *, caller: Caller) -> bytes:
        """A tile of a job's labels and a pixel around it: (y + 2, x + 2) little-endian uint32,
        packed by gzip. Raises WrongState before the job has succeeded."""
        found = await self.job_label_array(job_id, at, caller=caller)
        return await self._pieces.work(lambda: _packed(found.astype("<u4")))

    async def shown(self, job_id: str, *, caller: Caller) -> ShownImage:
        """The image of a job. Raises NotFound."""
        job = await self.job(job_id, caller=caller)
        async with _gone_is_not_found():
            return await self._pieces.image(_image_of(job))

    async def job_array(self, job_id: str, at: TileAt, *, caller: Caller) -> np.ndarray:
        """(y, x) pixels of a tile of a job's image, in the dtype of the image."""
        async with _gone_is_not_found():
            return await self._image_array(await self.shown(job_id, caller=caller), at)

    async def job_label_array(self, job_id: str, at: TileAt, *, caller: Caller) -> np.ndarray:
        """(y + 2, x + 2) uint32 labels, as in `job_labels`."""
        job = await finished_job_of(self._queue, job_id, caller=caller)
        return await self._label_array(await self._labels(job), _stored_at(job, at))

    async def packed(self, array: np.ndarray) -> bytes:
        """An array as gzip."""
        return await self._pieces.work(lambda: _packed(array))

    # ------------------------------------------------------------------ uploads

    async def upload_image(
        self, upload_id: str, reading: ReadOptions, *, caller: Caller
    ) -> ImageInfo:
        """What there is to see of an upload. Raises NotFound, WrongState."""
        image = await self._upload(upload_id, reading, caller)
        return await self._info(image, range(min(image.sizes["c"], MOST_SHOWN)))

    async def upload_tile(
        self, upload_id: str, reading: ReadOptions, at: TileAt, *, caller: Caller
    ) -> bytes:
        """A tile of an upload, as `job_tile`."""
        return await self._image_tile(await self._upload(upload_id, reading, caller), at)

    async def upload_labels(
        self, upload_id: str, reading: ReadOptions, at: TileAt, *, caller: Caller
    ) -> bytes:
        """A tile of an upload whose first channel is read as labels, as `job_labels`."""
        found = await self._label_array(await self._upload(upload_id, reading, caller), at)
        return await self.packed(found.astype("<u4"))

    def close(self) -> None:
        self._pieces.close()

    # ------------------------------------------------------------------ below

    async def _upload(self, upload_id: str, reading: ReadOptions, caller: Caller) -> ShownImage:
        upload = await self._uploads.get_complete(upload_id, caller=caller)
        origin = Origin(file_name=upload.file_name, upload_id=upload.id, reading=reading)
        return await self._pieces.image(origin)

    async def _labels(self, job: Job) -> ShownImage:
        """The label image of a job."""
        key = _labels_key(job)
        try:
            return await self._pieces.image(Origin(file_name=key.rsplit("/", 1)[1], key=key))
        except NotFound as error:
            raise NotFound("This job has no label image (any more).", reason="NO_LABELS") from error

    async def _only_labels(self, job: Job) -> ShownImage:
        """The label image in place of the image that is gone: with no channels."""
        labels = await self._labels(job)
        sizes = {**labels.sizes, "c": 0}
        if plane := _only_plane(job):
            sizes |= {"t": plane[0] + 1, "z": plane[1] + 1}
        return labels.with_sizes(sizes)

    async def _info(
        self,
        image: ShownImage,
        shown: range | tuple[int, ...] | list[int],
        *,
        label_planes: tuple[tuple[int, int], ...] | None = None,
        **has: bool,
    ) -> ImageInfo:
        channels = []
        for number in range(image.sizes["c"]):
            values = await self._pieces.values(image, number)
            channels.append(
                ShownChannel(
                    name=image.channel_names[number],
                    color=image.channel_colors[number],
                    **vars(values),
                )
            )
        return ImageInfo(
            sizes=dict(image.sizes),
            dtype=str(image.dtype),
            is_rgb=image.is_rgb,
            tile_px=TILE_PX,
            levels=tuple(LevelSize(width_px=x, height_px=y) for y, x in image.grid.shapes),
            channels=tuple(channels),
            shown_channels=tuple(shown),
            pixel_size_um=image.pixel_size_um,
            z_step_um=image.z_step_um,
            frame_interval_s=image.frame_interval_s,
            label_planes=label_planes,
            **has,
        )

    async def _image_tile(self, image: ShownImage, at: TileAt) -> bytes:
        async with _gone_is_not_found():
            pixels = await self._image_array(image, at)
            values = plain_values(image.dtype) or await self._pieces.values(image, at.c)
        return await self._pieces.work(lambda: _packed(values.stored(pixels).astype("<u2")))

    async def _image_array(self, image: ShownImage, at: TileAt) -> np.ndarray:
        window = _window(image, at)
        return await self._pieces.pixels(image, at.t, at.z, at.c, at.level, window)

    async def _label_array(self, labels: ShownImage, at: TileAt) -> np.ndarray:
        window = _window(labels, at)
        return await self._pieces.labels(labels, at.t, at.z, at.level, window)


def _window(image: ShownImage, at: TileAt) -> Window:
    """Rows and columns of a tile. Raises NotFound."""
    window = image.grid.tile(at.level, at.row, at.column)
    sizes = image.sizes
    if window is None or at.t >= sizes["t"] or at.z >= sizes["z"] or at.c >= sizes["c"]:
        raise NotFound("The image has no tile there.", reason="TILE_NOT_FOUND")
    return window


def _packed(tile: np.ndarray) -> bytes:
    # Level 1: noise is packed hardly better by more work, and labels are long runs.
    return gzip.compress(tile.tobytes(), compresslevel=1, mtime=0)


@asynccontextmanager
async def _gone_is_not_found() -> AsyncIterator[None]:
    """For who asks for a job's image it is not the request that is wrong: something is gone."""
    try:
        yield
    except InvalidRequest as error:
        if error.reason != "UPLOAD_GONE":
            raise
        raise NotFound("The image of this job is no longer there.", reason=error.reason) from error


def _image_of(job: Job) -> Origin:
    reading = _request(job).reading
    return Origin(file_name=job.file_name, upload_id=job.upload_id, reading=reading)


def _labels_key(job: Job) -> str:
    return f"{results_prefix(job.id)}{result_stem(job.file_name)}_labels.tif"


def _request(job: Job) -> SegmentationRequest:
    return SegmentationRequest.from_parameters(job.parameters)


def _only_plane(job: Job) -> tuple[int, int] | None:
    """(t, z) of the one plane of a job that was asked for no other."""
    plane = _request(job).plane
    return (plane.t, plane.z) if plane else None


def _stored_at(job: Job, at: TileAt) -> TileAt:
    """Where a tile of the image is in the label image. Raises NotFound."""
    plane = _only_plane(job)
    if plane is None:
        return at
    if (at.t, at.z) != plane:
        raise NotFound("This plane was not segmented.", reason="TILE_NOT_FOUND")
    return TileAt(level=at.level, t=0, z=0, row=at.row, column=at.column)


def _are_volumes(job: Job, image: ShownImage) -> bool:
    is_tracked_volume = job.pipeline == "tracking" and image.sizes["z"] > 1
    return _request(job).volume or is_tracked_volume


def _segmented_channels(image: ShownImage, job: Job) -> tuple[int, ...]:
    """The channels that were segmented, also when the model server is away or has moved on.

    The job was accepted, so an image of several channels with none chosen can only be a colour
    image for a model that takes colour; nothing else of the model matters here.
    """
    if not job.model:  # its labels were given
        return tuple(shown_channels(image, _request(job).channel))
    stand_in = ModelCard(
        name=job.model, versions=(job.model_version,), pipeline=job.pipeline, accepts_rgb=True
    )
    return tuple(choose_channels(image, stand_in, _request(job).channel))
