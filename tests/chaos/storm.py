"""The callers of a kiosk that is being hit: they submit, wait and download, and never give up."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import re
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from kiosk._proto import kiosk_pb2 as pb
from kiosk.client import AsyncKiosk
from kiosk.errors import InvalidRequest, JobFailed, KioskError
from kiosk.exports import RUN_ENDING
from tests.chaos.inputs import Input

T = TypeVar("T")

CALLERS = 32
PAUSE_S = 0.5
# What differs from run to run in the record of a job: its id, and how long it took.
VARYING = ("job", "seconds")


@dataclass(kw_only=True)
class Outcome:
    """How one job ended. `files` is file name -> SHA-256, see `fingerprint`."""

    input: Input
    job_id: str = ""
    upload_id: str = ""
    state: str = "unfinished"
    reason: str = ""
    message: str = ""
    seconds: float = 0.0
    files: dict[str, str] = field(default_factory=dict)


@dataclass
class Callers:
    """Several callers at a time, with one list of jobs to bring through.

    Attributes:
        bridged: errors that a caller met and went on after, by their reason and message.
    """

    server: str
    deadline_s: float
    outcomes: list[Outcome] = field(default_factory=list)
    bridged: dict[str, int] = field(default_factory=dict)

    async def bring_through(self, inputs: Sequence[Input], seed: int) -> None:
        """Submit all inputs and wait for all; `outcomes` grows meanwhile."""
        waiting = list(enumerate(inputs))[::-1]
        names = random.Random(seed)
        ids = [f"chaos-{names.getrandbits(64):x}" for _ in inputs]

        async def caller() -> None:
            async with AsyncKiosk(self.server) as client:
                while waiting:
                    number, item = waiting.pop()
                    outcome = Outcome(input=item)
                    self.outcomes.append(outcome)
                    await self._one(client, outcome, ids[number])

        await asyncio.gather(*(caller() for _ in range(min(CALLERS, len(inputs)))))

    async def _one(self, client: AsyncKiosk, outcome: Outcome, request_id: str) -> None:
        item, began_s = outcome.input, time.monotonic()
        with tempfile.TemporaryDirectory(prefix="chaos-") as place:
            path = Path(place) / item.file_name
            path.write_bytes(item.data)
            try:
                upload = await self._patiently(lambda: client.upload(path))
                outcome.upload_id = upload.removeprefix("uploads/")
                job = await self._patiently(
                    lambda: client.submit(
                        upload,
                        reading=pb.ReadOptions(member=item.member),
                        parameters={"diameter_px": item.diameter_px} if item.diameter_px else {},
                        request_id=request_id,
                    )
                )
                outcome.job_id = job.name.removeprefix("jobs/")
                await self._patiently(lambda: client.wait(job.name))
                outcome.state = "succeeded"
                results = Path(place) / "results"
                await self._patiently(lambda: client.download(job.name, results, overwrite=True))
                outcome.files = {
                    found.name: fingerprint(found, outcome.job_id)
                    for found in sorted(results.iterdir())
                }
            except JobFailed as error:
                outcome.state, outcome.reason, outcome.message = (
                    "failed",
                    error.reason,
                    error.message,
                )
            except KioskError as error:
                outcome.reason, outcome.message = error.reason, error.message
        outcome.seconds = time.monotonic() - began_s

    async def _patiently(self, step: Callable[[], Awaitable[T]]) -> T:
        """Do a step again for as long as the kiosk is at fault, not the caller."""
        while True:
            try:
                return await step()
            except (JobFailed, InvalidRequest):
                raise  # also where something that was accepted is not there any more
            except KioskError as error:
                key = f"{error.reason}: {error.message}"[:160]
                self.bridged[key] = self.bridged.get(key, 0) + 1
                if time.monotonic() > self.deadline_s:
                    raise
            await asyncio.sleep(PAUSE_S)


def fingerprint(path: Path, job_id: str) -> str:
    """SHA-256 of a result file, without the id of its job and the time that was taken.

    The UUID of an OME-TIFF is made of the job's id.
    """
    data = path.read_bytes()
    if path.name.endswith(RUN_ENDING):
        record = {key: value for key, value in json.loads(data).items() if key not in VARYING}
        data = json.dumps(record, sort_keys=True).encode()
    data = re.sub(rb"urn:uuid:[0-9a-f-]{36}", b"urn:uuid:", data)
    return hashlib.sha256(data.replace(job_id.encode(), b"0" * len(job_id))).hexdigest()
