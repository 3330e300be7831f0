"""Movies of discs, and their way through a kiosk of fakes to tracks that are read back."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from typing import Any

import numpy as np
import tifffile
from movie_makers import discs
from segmented import kiosk_with, tiff

from kiosk.callers import LOCAL
from kiosk.jobs import Job, JobState
from kiosk.request import SegmentationRequest
from kiosk.testing import FakeKiosk
from kiosk.tracking_request import TrackingRequest

SIDE_PX = 96
# first frame, last frame, mother: of the tracks of `truth()`, whatever their numbers are.
SPANS = [(0, 2, False), (0, 4, False), (0, 4, False), (3, 4, True), (3, 4, True)]
READ_BACK = ("labels", "ctc", "tracks", "track-summary")
OF_SEGMENTATION = {"channel", "formats", "reading", "postprocessing"}


def truth(frames: int = 5) -> np.ndarray:
    """(t, y, x) uint16 labels: three cells, of which the first divides into 4 and 5 in frame 3."""
    planes = []
    for t in range(frames):
        cells: dict[int, tuple[float, ...]] = {2: (70, 20 + 2 * t), 3: (76 - t, 70)}
        if t < 3:
            cells[1] = (24, 40 + t, 7.0)
        else:
            apart = 6 + t - 2
            cells |= {4: (24, 42 - apart, 5.0), 5: (24, 42 + apart, 5.0)}
        planes.append(discs(cells, SIDE_PX))
    return np.stack(planes).astype(np.uint16)


def shuffled(labels: np.ndarray) -> np.ndarray:
    """The same instances with other numbers in every frame, as segmentation gives them."""
    planes = []
    for t, plane in enumerate(labels):
        here = np.unique(plane[plane > 0])
        table = np.zeros(int(plane.max(initial=0)) + 1, np.uint16)
        table[here] = np.random.default_rng(t).permutation(len(here)) + 1
        planes.append(table[plane])
    return np.stack(planes)


def pictures(labels: np.ndarray) -> np.ndarray:
    """(t, y, x) uint16 for (t, y, x) labels: bright cells; those of a division are brighter."""
    divides = np.isin(labels, (1, 4, 5))
    return np.where(labels > 0, 900 + 100 * divides, 100).astype(np.uint16)


def file_of(
    movie: np.ndarray, axes: str = "TYX", compression: str | None = None, **metadata: Any
) -> bytes:
    return tiff(movie, ome=True, compression=compression, metadata={"axes": axes, **metadata})


class Tracked:
    """The files of a finished job, read back where they are there."""

    def __init__(self, job: Job, files: dict[str, bytes], stem: str) -> None:
        self.job, self.files, self.names = job, files, sorted(files)
        self.run = json.loads(files[f"{stem}_run.json"])
        if labels := files.get(f"{stem}_labels.tif"):
            with tifffile.TiffFile(io.BytesIO(labels)) as tif:
                self.axes, self.labels = tif.series[0].axes, tif.series[0].asarray()
        self.rows = _rows(files.get(f"{stem}_tracks.csv", b""))
        self.summary = _rows(files.get(f"{stem}_track_summary.csv", b""))
        self.ctc: dict[int, tuple[int, int, int]] = {}
        if archive := files.get(f"{stem}_RES.zip"):
            with zipfile.ZipFile(io.BytesIO(archive)) as members:
                text = members.read("res_track.txt").decode()
            for line in text.splitlines():
                track, *rest = map(int, line.split())
                self.ctc[track] = (rest[0], rest[1], rest[2])

    @property
    def table(self) -> bytes:
        return next(data for name, data in self.files.items() if name.endswith("_tracks.csv"))


def _rows(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode())))


def tracking_request(wanted: dict[str, Any]) -> TrackingRequest:
    """A request; what is of its segmentation may be given beside the rest."""
    inner = {name: wanted.pop(name) for name in OF_SEGMENTATION & set(wanted)}
    return TrackingRequest(segmentation=SegmentationRequest(**inner), **wanted)


async def submitted(
    movie: bytes,
    kiosk: FakeKiosk,
    *,
    labels: bytes | None = None,
    tracks: bytes | None = None,
    file_name: str = "cells.tif",
    **wanted: Any,
) -> Job:
    upload_id = await kiosk.upload(movie, file_name)
    if labels is not None:
        wanted["labels"] = await kiosk.upload(labels, "masks.tif")
    if tracks is not None:
        wanted["tracks"] = await kiosk.upload(tracks, "tracks.csv")
    model = "" if labels is not None else "bright"
    request = tracking_request(wanted)
    return await kiosk.service.track(
        upload_id=upload_id, model=model, request=request, caller=LOCAL
    )


async def ended(kiosk: FakeKiosk, job: Job) -> Job:
    await kiosk.work()
    return await kiosk.service.get_job(job.id, caller=LOCAL)


async def tracked(movie: bytes, kiosk: FakeKiosk | None = None, **wanted: Any) -> Tracked:
    """A movie all the way; keyword arguments as of `submitted`, files that are read back here."""
    kiosk = kiosk or kiosk_with()
    wanted.setdefault("formats", READ_BACK)
    job = await ended(kiosk, await submitted(movie, kiosk, **wanted))
    assert (job.state, job.error) == (JobState.SUCCEEDED, "")
    files = {
        result.file_name: b"".join(
            [chunk async for chunk in await kiosk.service.read_result(result, caller=LOCAL)]
        )
        for result in await kiosk.service.list_results(job.id, caller=LOCAL)
    }
    return Tracked(job, files, "cells")


async def failed(movie: bytes, kiosk: FakeKiosk | None = None, **wanted: Any) -> Job:
    """A movie that is accepted, and whose job fails."""
    kiosk = kiosk or kiosk_with()
    job = await ended(kiosk, await submitted(movie, kiosk, **wanted))
    assert job.state is JobState.FAILED
    assert job.error.endswith(".")
    return job


def spans(tracks: dict[int, tuple[int, int, int]]) -> list[tuple[int, int, bool]]:
    return sorted((first, last, mother > 0) for first, last, mother in tracks.values())


def assert_same_tracks(found: np.ndarray, expected: np.ndarray) -> None:
    """The same pixels in the same tracks; numbers may be others."""
    pairs = {tuple(pair) for pair in np.stack([found.ravel(), expected.ravel()], 1).tolist()}
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})
    assert (0, 0) in pairs
