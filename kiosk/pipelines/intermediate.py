"""What one part of a job leaves for the join, in the object store. Writing twice is harmless."""

from __future__ import annotations

import asyncio
import io
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import imagecodecs
import numpy as np

from kiosk.jobs import parts_prefix
from kiosk.pipelines.sizing import Sizing
from kiosk.ports import ObjectStore

AT_A_TIME = 64


@dataclass(frozen=True, kw_only=True)
class PartReport:
    """The small facts of one part: how many instances, and where the time went.

    `fault` is why a frame was left out, for those who wanted that; `separated` is how many cells
    shared a label with another one of their frame.
    """

    instances: int
    seconds: Mapping[str, float]
    fault: str = ""
    separated: int = 0


@dataclass(frozen=True, kw_only=True)
class PlanRecord:
    """What the plan has decided for all parts and the join, whoever does them later."""

    channels: list[int]
    block_px: int
    block_halo_px: int
    sizing: Sizing
    align_px: int = 1


async def write_plan(store: ObjectStore, job_id: str, record: PlanRecord) -> None:
    await store.put(f"{parts_prefix(job_id)}plan", json.dumps(asdict(record)).encode())


async def read_plan(store: ObjectStore, job_id: str) -> PlanRecord:
    fields = json.loads(await store.get(f"{parts_prefix(job_id)}plan"))
    return PlanRecord(**{**fields, "sizing": Sizing(**fields["sizing"])})


async def write_part(
    store: ObjectStore,
    job_id: str,
    index: int,
    labels: np.ndarray,
    table: Mapping[str, np.ndarray] | None,
    report: PartReport,
) -> None:
    """Labels (y, x) or (z, y, x) uint32, table (None for blocks) and report of one part."""
    prefix = _prefix(job_id, index)
    await store.put(f"{prefix}labels", _packed_labels(labels))
    if table is not None:
        await store.put(f"{prefix}table", _packed(table))
    await store.put(f"{prefix}report", json.dumps(asdict(report)).encode())


async def read_labels(store: ObjectStore, job_id: str, index: int) -> np.ndarray:
    """(y, x) or (z, y, x) uint32 labels of one part."""
    data = imagecodecs.zstd_decode(await store.get(f"{_prefix(job_id, index)}labels"))
    return np.load(io.BytesIO(data), allow_pickle=False).astype(np.uint32)


async def read_table(store: ObjectStore, job_id: str, index: int) -> dict[str, np.ndarray]:
    return _unpacked(await store.get(f"{_prefix(job_id, index)}table"))


async def write_detections(
    store: ObjectStore, job_id: str, index: int, columns: Mapping[str, np.ndarray]
) -> None:
    """What linking needs of a frame: the columns of `imaging.detections.Detections`."""
    await store.put(f"{_prefix(job_id, index)}detections", _packed(columns))


async def read_detections(store: ObjectStore, job_id: str, index: int) -> dict[str, np.ndarray]:
    return _unpacked(await store.get(f"{_prefix(job_id, index)}detections"))


async def read_reports(store: ObjectStore, job_id: str, parts: int) -> list[PartReport]:
    """The reports of all parts in order, some at a time: a bucket takes its time for each."""
    reports = []
    for first in range(0, parts, AT_A_TIME):
        some = range(first, min(first + AT_A_TIME, parts))
        keys = [f"{_prefix(job_id, index)}report" for index in some]
        found = await asyncio.gather(*(store.get(key) for key in keys))
        reports += [PartReport(**json.loads(data)) for data in found]
    return reports


def _prefix(job_id: str, index: int) -> str:
    return f"{parts_prefix(job_id)}{index:06d}/"


def _packed_labels(labels: np.ndarray) -> bytes:
    # Half the bytes wherever 16 bits are enough, which is nearly always.
    small = labels.max(initial=0) <= np.iinfo(np.uint16).max
    buffer = io.BytesIO()
    np.save(buffer, labels.astype(np.uint16) if small else labels, allow_pickle=False)
    return bytes(imagecodecs.zstd_encode(buffer.getvalue(), level=1))


def _packed(arrays: Mapping[str, np.ndarray]) -> bytes:
    """A line of JSON with name, dtype and shape of each array, then their bytes; all compressed.

    A tenth of the time of an npz file, whose twenty columns are twenty files with a header each.
    """
    header = [(name, array.dtype.str, array.shape) for name, array in arrays.items()]
    chunks = [json.dumps(header).encode(), b"\n", *(array.tobytes() for array in arrays.values())]
    return bytes(imagecodecs.zstd_encode(b"".join(chunks), level=1))


def _unpacked(data: bytes) -> dict[str, np.ndarray]:
    header, _, raw = bytes(imagecodecs.zstd_decode(data)).partition(b"\n")
    arrays, start = {}, 0
    for name, dtype, shape in json.loads(header):
        count = math.prod(shape)
        array = np.frombuffer(raw, dtype, count, start) if count else np.empty(0, dtype)
        arrays[name] = array.reshape(shape).copy()
        start += array.nbytes
    return arrays
