"""Images of discs, and their way through a kiosk of fakes to results that are read back."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import cv2
import numpy as np
import tifffile

from kiosk.adapters.image_files import ImageFileReader
from kiosk.callers import LOCAL
from kiosk.jobs import JobState
from kiosk.pipelines.context import SegmentationOptions
from kiosk.request import SegmentationRequest
from kiosk.settings import LimitSettings
from kiosk.testing import FakeKiosk, make_kiosk


def spots(shape: tuple[int, ...], seed: int = 1, *, number: int = 40) -> np.ndarray:
    """Dark planes with bright discs that do not touch, the last two axes y and x."""
    random = np.random.default_rng(seed)
    image = np.zeros(shape, np.uint8)
    y, x = np.mgrid[: shape[-2], : shape[-1]]
    for plane in image.reshape(-1, *shape[-2:]):
        for _ in range(number):
            cy, cx = random.uniform(0, shape[-2]), random.uniform(0, shape[-1])
            radius = random.uniform(2, 7)
            distance = np.hypot(y - cy, x - cx)
            if not plane[distance <= radius + 2].any():
                plane[distance <= radius] = random.integers(180, 256)
    return image


def count(image: np.ndarray) -> list[int]:
    """Discs of each plane, by another program than ours."""
    planes = (image > 0).astype(np.uint8).reshape(-1, *image.shape[-2:])
    return [cv2.connectedComponents(plane, connectivity=8)[0] - 1 for plane in planes]


def tiff(image: np.ndarray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, image, **{"photometric": "minisblack", **options})
    return buffer.getvalue()


def ome(image: np.ndarray, axes: str, **metadata: Any) -> bytes:
    return tiff(image, ome=True, metadata={"axes": axes, **metadata})


class Results:
    """The files of a finished job; the usual ones are read back."""

    def __init__(self, files: dict[str, bytes], stem: str) -> None:
        self.files, self.names = files, sorted(files)
        with tifffile.TiffFile(io.BytesIO(files[f"{stem}_labels.tif"])) as tif:
            assert tif.is_ome
            series = tif.series[0]
            self.axes, self.labels = series.axes, series.asarray()
            self.ome_xml = tif.ome_metadata or ""
        text = files[f"{stem}_instances.csv"].decode()
        self.header = text.splitlines()[0].split(",")
        self.rows = list(csv.DictReader(io.StringIO(text)))
        picture = np.frombuffer(files[f"{stem}_overlay.jpg"], np.uint8)
        self.overlay = cv2.imdecode(picture, cv2.IMREAD_COLOR)
        self.run = json.loads(files[f"{stem}_run.json"])

    @property
    def counts(self) -> list[int]:
        return [plane["instances"] for plane in self.run["planes"]]


def kiosk_with(**options: int) -> FakeKiosk:
    images = ImageFileReader(LimitSettings())
    return make_kiosk(images, options=SegmentationOptions(**options))


def request_of(wanted: dict[str, Any]) -> dict[str, Any]:
    """Arguments of the service: a model version by itself, all else in the request."""
    version = {k: wanted.pop(k) for k in ["model_version"] if k in wanted}
    if "parameters" in wanted:
        wanted["postprocessing"] = wanted.pop("parameters")
    return {**version, "request": SegmentationRequest(**wanted)}


async def segmented(
    data: bytes,
    kiosk: FakeKiosk | None = None,
    file_name: str = "cells.tif",
    stem: str = "cells",
    **request: Any,
) -> Results:
    kiosk = kiosk or kiosk_with()
    upload_id = await kiosk.upload(data, file_name)
    job = await kiosk.service.segment(
        upload_id=upload_id, model="bright", **request_of(request), caller=LOCAL
    )
    await kiosk.work()
    done = await kiosk.service.get_job(job.id, caller=LOCAL)
    assert (done.state, done.error) == (JobState.SUCCEEDED, "")
    results = await kiosk.service.list_results(job.id, caller=LOCAL)
    files = {
        result.file_name: b"".join(
            [chunk async for chunk in await kiosk.service.read_result(result, caller=LOCAL)]
        )
        for result in results
    }
    return Results(files, stem)
