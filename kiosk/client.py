"""The client library: images in, labels and tables out.

    from kiosk.client import Kiosk

    with Kiosk("127.0.0.1:50051") as kiosk:
        result = kiosk.segment("cells.tif", model="nuclei", progress=True)
        result.labels          # (y, x) or (t, y, x) label image
        result.table["area_px"]  # one entry per instance
        result.save("results/")

`AsyncKiosk` has the same methods as coroutines, `Kiosk` runs them on a thread of its own.
Only light packages are imported here: gRPC, numpy, and tifffile when an array is sent or read.
"""

from __future__ import annotations

import asyncio
import io
import uuid
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from pydantic import SecretStr

from kiosk._proto import kiosk_pb2 as pb
from kiosk.blocking import Blocking
from kiosk.client_arguments import (
    Rectangle,
    as_labels,
    format_list,
    mask_axes,
    plane_of,
    priority_of,
    read_options,
    region_of,
    stack_axes,
)
from kiosk.connection import Connection, Progress, ProgressCallback
from kiosk.errors import InvalidRequest
from kiosk.folder_zip import zipped_folder
from kiosk.job_calls import JobCalls
from kiosk.linked import name_in
from kiosk.progress_bar import reporting
from kiosk.segmentation import Segmentation, as_tiff
from kiosk.settings import Settings
from kiosk.tracking import Tracking

__all__ = ["AsyncKiosk", "Kiosk", "Progress", "ProgressCallback"]


class AsyncKiosk(JobCalls):
    """A connection to a kiosk.

    Args:
        server: HOST:PORT, or grpcs://HOST:PORT for TLS; default: KIOSK_SERVER, then
            127.0.0.1:50051.
        api_key: for a kiosk that asks who you are; default: KIOSK_API_KEY.
        ca_file: certificates that vouch for the kiosk's own, where the machine does not know them;
            means TLS; default: KIOSK_CA_FILE.
    """

    def __init__(
        self, server: str = "", *, api_key: str = "", ca_file: str | Path | None = None
    ) -> None:
        settings = Settings()
        super().__init__(
            Connection(
                server or settings.server,
                api_key=SecretStr(api_key) if api_key else settings.api_key,
                ca_file=Path(ca_file) if ca_file else settings.ca_file,
            )
        )

    @property
    def server(self) -> str:
        return self._connection.server

    async def __aenter__(self) -> AsyncKiosk:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._connection.close()

    # ------------------------------------------------------------------ models

    async def models(self) -> list[pb.Model]:
        """The models that are ready."""
        answer = await self._connection.call("ListModels", pb.ListModelsRequest())
        return list(answer.models)

    async def model(self, name: str) -> pb.Model:
        """One model, with every parameter that a request may set. Raises NotFound."""
        return await self._connection.call("GetModel", pb.GetModelRequest(name=f"models/{name}"))

    # ------------------------------------------------------------------ the whole way

    async def segment(
        self,
        image: str | Path | np.ndarray,
        *,
        model: str = "nuclei",
        version: str = "",
        channel: str | int = "",
        parameters: Mapping[str, float] | None = None,
        axes: str = "",
        member: str = "",
        series: int = 0,
        pixel_size_um: float = 0.0,
        z_step_um: float = 0.0,
        region: Rectangle | None = None,
        plane: tuple[int, int] | None = None,
        volume: bool = False,
        formats: Sequence[str] | str = (),
        within: str | Path | np.ndarray = "",
        progress: bool | ProgressCallback = False,
    ) -> Segmentation:
        """Upload an image, segment it, wait, and fetch the results.

        Args:
            image: path of an image file, of an OME-Zarr folder, or an array (see `axes`).
            model: name of a model, see `models()`, or NAME:VERSION; version: "" = its default.
            channel: name or index from 0, needed when the image has several channels.
            parameters: post-processing parameters in place of the model's defaults.
            axes: order of the axes, letters of TCZYXS; for an array by default YX, TYX (ZYX for a
                volume) or TZYX by the number of axes, for a file what the file says.
            member, series: path of the image in a zip; its number in a file that holds several.
            pixel_size_um, z_step_um: in place of what the file says; 0 = as it says.
            region, plane: only this `Rectangle` of every plane; only the plane at this (t, z).
            volume: join the instances of the planes of a z-stack to instances in 3-D.
            formats: result formats by name (docs/reference/results.md), "all", () = the default.
            within: mask or label image: a path, an array (axes of the image without channels, or
                YX), or the name of an upload ("uploads/..."); only instances inside of it count.
            progress: True for a bar, or a function that is called with a `Progress`.

        Raises:
            InvalidRequest: the image or the request cannot be processed; says why.
            JobFailed: the job was accepted and failed.
            TransientError: the kiosk does not answer.
        """
        axes = axes or stack_axes(image, volume)
        reading = read_options(
            member=member,
            series=series,
            # An array is sent with its axes.
            axes="" if isinstance(image, np.ndarray) else axes,
            pixel_size_um=pixel_size_um,
            z_step_um=z_step_um,
        )
        with reporting(progress) as report:
            mask = await self.mask(within, axes=mask_axes(within, axes, volume))
            upload = await self.upload(image, axes=axes, progress=report)
            job = await self.submit(
                upload,
                model=model,
                version=version,
                channel=channel,
                parameters=parameters,
                reading=reading,
                region=region,
                plane=plane,
                volume=volume,
                formats=formats,
                within=mask,
            )
            await self.wait(job.name, progress=report)
        return await self.fetch(job.name)

    async def track(
        self,
        movie: str | Path | np.ndarray,
        *,
        labels: str | Path | np.ndarray = "",
        tracks: str | Path = "",
        axes: str = "",
        member: str = "",
        series: int = 0,
        pixel_size_um: float = 0.0,
        z_step_um: float = 0.0,
        progress: bool | ProgressCallback = False,
        **options: Any,
    ) -> Tracking:
        """Upload a movie, find its cells, link them through time, wait, and fetch the results.

        Args:
            movie: path of an image file, or an array (t, y, x).
            labels: label images of all frames, as a path or an array, to link instead of
                segmenting; an array has the axes of the movie without channels.
            tracks: path of a corrected NAME_tracks.csv of these labels: it says who is who.
            axes, member, series, pixel_size_um, z_step_um: as in `segment`.
            progress: True for a bar, or a function that is called with a `Progress`.
            options: all others of `submit_tracking`: model, channel, parameters, formats,
                labels_are_tracks, skip_bad_frames, linker, longest_gap_frames, reach_px,
                divisions, correct_drift, mend.

        Raises:
            InvalidRequest: the movie or the request cannot be processed; says why.
            JobFailed: the job was accepted and failed.
            TransientError: the kiosk does not answer.
        """
        reading = read_options(
            member=member,
            series=series,
            axes="" if isinstance(movie, np.ndarray) else axes,
            pixel_size_um=pixel_size_um,
            z_step_um=z_step_um,
        )
        with reporting(progress) as report:
            given = await self.mask(labels, axes=mask_axes(labels, axes, False))
            table = await self.upload(tracks) if str(tracks) else ""
            upload = await self.upload(movie, axes=axes, progress=report)
            job = await self.submit_tracking(
                upload, labels=given, tracks=table, reading=reading, **options
            )
            job = await self.wait(job.name, progress=report)
        return await self.fetch_tracking(job.name)

    # ------------------------------------------------------------------ step by step

    async def upload(
        self,
        image: str | Path | np.ndarray,
        *,
        axes: str = "",
        progress: ProgressCallback | None = None,
    ) -> str:
        """Upload a file, an OME-Zarr folder or an array; returns the upload's name.

        Bridges short outages. An address like s3://bucket/plate.ome.zarr is not uploaded: the
        kiosk reads it from there, if its owner allows that place.
        """
        if isinstance(image, np.ndarray):
            data = as_tiff(image, axes)
            with io.BytesIO(data) as file:
                return await self._connection.send(file, "array.tif", len(data), progress)
        if "://" in str(image):
            answer = await self._connection.call(
                "CreateUpload",
                pb.CreateUploadRequest(file_name=name_in(str(image)), url=str(image)),
            )
            return str(answer.name)
        path = Path(image)
        opened: AbstractContextManager[BinaryIO]
        try:
            if path.is_dir():  # noqa: ASYNC240 - local calls
                opened, name = zipped_folder(path), f"{path.name}.zip"
            else:
                opened, name = path.open("rb"), path.name  # noqa: ASYNC230
        except OSError as error:
            raise InvalidRequest(
                f"The file '{path}' cannot be read: {error.strerror or error}.",
                reason="CANNOT_READ_FILE",
            ) from error
        with opened as file:
            size = await asyncio.to_thread(file.seek, 0, io.SEEK_END)
            return await self._connection.send(file, name, size, progress)

    async def mask(self, within: str | Path | np.ndarray, *, axes: str = "") -> str:
        """The name of an upload with a mask, which is uploaded unless it is there; "" for none."""
        if isinstance(within, np.ndarray):
            return await self.upload(as_labels(within), axes=axes)
        if not str(within) or str(within).startswith("uploads/"):
            return str(within)
        return await self.upload(within)

    async def inspect(
        self,
        upload: str,
        *,
        reading: pb.ReadOptions | None = None,
        thumbnail_px: int = 0,
        list_only: bool = False,
    ) -> list[pb.Image]:
        """What the kiosk sees in an upload: its images, axes, channels, pixel sizes, guesses."""
        request = pb.InspectUploadRequest(
            name=upload, reading=reading, thumbnail_px=thumbnail_px, list_only=list_only
        )
        answer = await self._connection.call("InspectUpload", request)
        return list(answer.images)

    async def submit(
        self,
        upload: str,
        *,
        model: str = "nuclei",
        version: str = "",
        channel: str | int = "",
        parameters: Mapping[str, float] | None = None,
        reading: pb.ReadOptions | None = None,
        region: Rectangle | None = None,
        plane: tuple[int, int] | None = None,
        volume: bool = False,
        formats: Sequence[str] | str = (),
        within: str = "",
        preview: bool = False,
        request_id: str = "",
        priority: str = "",
    ) -> pb.Job:
        """Queue the segmentation of an upload; a request_id of yours makes it repeatable.

        A model may be given as NAME or as NAME:VERSION. The priority is "interactive", "batch", or
        left to the kiosk. A preview is a quick look at a region of one plane, which is soon gone.
        """
        model, _, named = model.partition(":")
        request = pb.SegmentRequest(
            upload=upload,
            model=model,
            model_version=version or named,
            channel=str(channel),
            parameters=dict(parameters or {}),
            # Also when the caller gives none: the call may be sent twice over a bad connection.
            request_id=request_id or str(uuid.uuid4()),
            reading=reading,
            region=region_of(region),
            plane=plane_of(plane),
            preview=preview,
            volume=volume,
            formats=format_list(formats),
            within=within,
            priority=priority_of(priority),
        )
        job: pb.Job = await self._connection.call("Segment", request)
        return job

    async def submit_tracking(
        self,
        upload: str,
        *,
        labels: str = "",
        tracks: str = "",
        labels_are_tracks: bool = False,
        model: str = "nuclei",
        version: str = "",
        channel: str | int = "",
        parameters: Mapping[str, float] | None = None,
        reading: pb.ReadOptions | None = None,
        formats: Sequence[str] | str = (),
        skip_bad_frames: bool = False,
        linker: str = "",
        longest_gap_frames: int | None = None,
        reach_px: float = 0.0,
        divisions: bool = True,
        correct_drift: bool = True,
        mend: bool = True,
        request_id: str = "",
        priority: str = "",
    ) -> pb.Job:
        """Queue the tracking of an upload; labels and tracks are names of uploads too."""
        model, _, named = model.partition(":")
        request = pb.TrackRequest(
            upload=upload,
            model="" if labels else model,
            model_version="" if labels else version or named,
            channel=str(channel),
            request_id=request_id or str(uuid.uuid4()),
            parameters=dict(parameters or {}),
            reading=reading,
            formats=format_list(formats),
            labels=labels,
            tracks=tracks,
            labels_are_tracks=labels_are_tracks,
            skip_bad_frames=skip_bad_frames,
            linker=linker,
            longest_gap_frames=longest_gap_frames,
            reach_px=reach_px,
            no_divisions=not divisions,
            no_drift_correction=not correct_drift,
            no_mending=not mend,
            priority=priority_of(priority),
        )
        job: pb.Job = await self._connection.call("Track", request)
        return job


class Kiosk(Blocking):
    """`AsyncKiosk` for programs that are not asynchronous: the same methods, blocking.

    Asynchronous iterators (`watch`) become plain ones. Use it in a `with` block, or call
    `close()`.
    """

    def __init__(
        self, server: str = "", *, api_key: str = "", ca_file: str | Path | None = None
    ) -> None:
        super().__init__(AsyncKiosk(server, api_key=api_key, ca_file=ca_file))

    def __enter__(self) -> Kiosk:
        return self
