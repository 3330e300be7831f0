"""The files that programs written for the DeepCell Kiosk download: label images, and lineages."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator

from kiosk.authentication import Authentication
from kiosk.callers import Caller
from kiosk.exports import FORMATS, GROWN
from kiosk.job_groups import JobGroup
from kiosk.jobs import ResultFile, result_stem
from kiosk.service import KioskService
from kiosk.web.zips import Member

# One row per track; a longer summary is left out of what is downloaded.
LINEAGE_BYTES = 32 * 1024 * 1024
# Frames of all tracks together, each of which is a number in lineage.json: 40 MB.
MOST_PLACES = 5_000_000
LABELS, CELLS, SUMMARY = FORMATS["labels"].ending, FORMATS[GROWN].ending, "_track_summary.csv"


class OldFiles:
    """What is in the zips that are downloaded."""

    def __init__(self, service: KioskService, authentication: Authentication) -> None:
        self._service, self._authentication = service, authentication

    async def members(self, group: JobGroup, caller: Caller) -> AsyncIterator[Member]:
        """The label images of all images: the first, and where there are two, whole cells; the
        second nuclei. Both are called after their image."""
        stems: dict[str, str] = {}
        for job in group.succeeded:
            # The two may come from two jobs, and one of these may be gone.
            stem = _stem(stems, group.nuclei.get(job.id, job.id), result_stem(job.file_name))
            results = await self._service.list_results(job.id, caller=caller)
            by_ending = {
                ending: result
                for result in results
                for ending in (CELLS, LABELS, SUMMARY)
                if result.file_name.endswith(ending)
            }
            feature = 1 if job.id in group.nuclei else 0
            for ending in (CELLS, LABELS):
                if result := by_ending.get(ending):
                    yield f"{stem}_feature_{feature}.tif", await self._bytes(result, caller)
                    feature += 1
            summary = by_ending.get(SUMMARY)
            if summary and summary.size_bytes <= LINEAGE_BYTES:
                name = f"{stem}_lineage.json" if group.is_zip else "lineage.json"
                if lineage := await self._lineage(summary, caller):
                    yield name, _at_once(lineage)

    async def _lineage(self, result: ResultFile, caller: Caller) -> bytes:
        """lineage.json of a tracked movie, from the table of its tracks; b"" if it is too long."""
        text = b"".join([chunk async for chunk in await self._bytes(result, caller)]).decode()
        return await asyncio.to_thread(lineage_json, text)

    async def _bytes(self, result: ResultFile, caller: Caller) -> AsyncIterator[bytes]:
        chunks = await self._service.read_result(result, caller=caller)
        return self._authentication.while_known(caller, chunks)


def _stem(stems: dict[str, str], job_id: str, wanted: str) -> str:
    """The stem of a job's files; those of different jobs differ."""
    if job_id not in stems:
        stem, number = wanted, 2
        while stem in stems.values():
            stem, number = f"{wanted}_{number}", number + 1
        stems[job_id] = stem
    return stems[job_id]


async def _at_once(data: bytes) -> AsyncIterator[bytes]:
    yield data


def lineage_json(summary: str) -> bytes:
    """Track -> label, frames, mother, daughters, first frame after it; b"" beyond MOST_PLACES."""
    tracks, places = {}, 0
    for row in csv.DictReader(io.StringIO(summary)):
        places += int(row["frames"])
        if places > MOST_PLACES:
            return b""
        daughters = [int(row[f"daughter_{n}_id"]) for n in (1, 2)]
        divides = row["divides"] == "1"
        tracks[row["track_id"]] = {
            "label": int(row["track_id"]),
            "frames": list(range(int(row["first_frame"]), int(row["last_frame"]) + 1)),
            "parent": int(row["parent_id"]) or None,
            "daughters": [daughter for daughter in daughters if daughter],
            "frame_div": int(row["last_frame"]) + 1 if divides else None,
            "capped": divides,
        }
    return json.dumps(tracks).encode()
