"""Jobs, their parts and their states: the nouns that queue, service and consumers share."""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any


class JobState(StrEnum):
    """Where a job stands. The last three are final."""

    QUEUED = "queued"  # accepted, no consumer has begun
    RUNNING = "running"  # at least one part has been begun
    SUCCEEDED = "succeeded"  # results are there
    FAILED = "failed"  # `error` says why
    CANCELLED = "cancelled"  # stopped by the caller

    @property
    def is_final(self) -> bool:
        return self in (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)


class Stage(StrEnum):
    """What is being done for a job; finer than its state and for people to read."""

    WAITING = "waiting"
    PLANNING = "planning"
    PARTS = "parts"
    JOINING = "joining"
    FINISHED = "finished"


class PartKind(StrEnum):
    """The three kinds of work in a job: first plan, then every part, last the join."""

    PLAN = "plan"
    PART = "part"
    JOIN = "join"


class Priority(StrEnum):
    """Which jobs go first. Batch jobs get one turn in five while interactive ones wait."""

    INTERACTIVE = "interactive"  # somebody is waiting for it
    BATCH = "batch"  # one of many, overnight


PLAN_INDEX = -1
JOIN_INDEX = -2


@dataclass(frozen=True, kw_only=True)
class Job:
    """One request to segment or track one upload. Times are Unix seconds, 0 = not yet."""

    id: str
    pipeline: str
    upload_id: str
    file_name: str  # as the caller named it; shown and used for result names, never in a key
    model: str
    model_version: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    owner: str = ""
    request_id: str = ""
    priority: Priority | None = None  # None: the queue decides, by how many jobs the owner has open
    state: JobState = JobState.QUEUED
    stage: Stage = Stage.WAITING
    parts_total: int = 0
    parts_done: int = 0
    error: str = ""
    error_reason: str = ""
    notes: tuple[str, ...] = ()  # what the kiosk read, guessed or left out
    waiting_for: str = ""  # the outage that holds it up at present, in a sentence
    work_px: int = 0  # pixels of all its planes, or of its region in each; 0 = not known
    trace: str = ""  # W3C traceparent of the call that submitted it; "" = it is not traced
    create_time_s: float = 0.0
    start_time_s: float = 0.0
    end_time_s: float = 0.0
    expire_time_s: float = 0.0

    def evolve(self, **changes: Any) -> Job:
        return replace(self, **changes)

    @property
    def is_preview(self) -> bool:
        """A quick look at a region, which is soon forgotten."""
        return bool(self.parameters.get("preview"))


def page_token(job: Job) -> str:
    """Token of the page of jobs that begins after this one: creation time in ms, and id."""
    return f"{round(job.create_time_s * 1000)}-{job.id}"


@dataclass(frozen=True, kw_only=True)
class Part:
    """A piece of a job that one consumer does at a time; `payload` is for the pipeline."""

    job_id: str
    kind: PartKind
    index: int
    payload: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Lease:
    """The right of one consumer to work on one part, until it stops renewing.

    Attributes:
        job: the job as it stood when the lease was given.
        part: what to do.
        consumer: who holds the lease.
        token: identifies the hand-out; a lost lease has a token that no longer matches.
        attempt: 1 for the first attempt at this part.
        suspect: an earlier attempt ended without a word. The part may have killed its consumer, so
            nothing else should be done beside it.
    """

    job: Job
    part: Part
    consumer: str
    token: str
    attempt: int
    suspect: bool = False


@dataclass(frozen=True, kw_only=True)
class JobEvent:
    """A step in the life of a job. `id` grows; a watcher resumes after the last one it saw."""

    id: str
    job: Job


@dataclass(frozen=True, kw_only=True)
class DeadLetter:
    """A part that was given up, with the reason of its last attempt. A job has at most one."""

    job_id: str
    owner: str
    file_name: str
    part_index: int
    kind: PartKind
    attempts: int
    reason: str
    time_s: float


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A file on its way in, or complete. `size_bytes` < 0 when the sender did not say."""

    id: str
    file_name: str
    size_bytes: int
    sha256: str = ""  # as announced by the sender; when complete, as computed
    offset_bytes: int = 0
    complete: bool = False
    owner: str = ""
    create_time_s: float = 0.0
    expire_time_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class ResultFile:
    """One file that a job has produced."""

    job_id: str
    file_name: str
    size_bytes: int
    media_type: str
    description: str
    opens_with: str = ""


def upload_key(upload_id: str) -> str:
    """Object key of the bytes of a complete upload."""
    return f"uploads/{upload_id}/data"


def link_key(upload_id: str) -> str:
    """Object key of the address that an upload points to, in place of bytes."""
    return f"uploads/{upload_id}/link"


def job_prefix(job_id: str) -> str:
    """Below this lies everything of a job."""
    return f"jobs/{job_id}/"


def results_prefix(job_id: str) -> str:
    """Below this lie the result files of a job, by their own names."""
    return f"{job_prefix(job_id)}results/"


def parts_prefix(job_id: str) -> str:
    """Below this lies what the parts of a job leave for its join."""
    return f"{job_prefix(job_id)}parts/"


# Control characters, and those that turn the direction of the text that follows.
_STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
# Names of devices on Windows, whatever follows the first dot.
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)", re.IGNORECASE)


def plain_name(name: str) -> str:
    """A name as it may be shown: characters that steer a terminal or hide what follows are "_"."""
    return _STEERING.sub("_", name.encode(errors="replace").decode())


def result_stem(file_name: str) -> str:
    """First part of the names of a job's results: the file's name, made safe, no extension."""
    # NFC: an accent typed on a Mac arrives as a character of its own.
    last = unicodedata.normalize("NFC", file_name).replace("\\", "/").rsplit("/", 1)[-1]
    stem = last.rsplit(".", 1)[0] if "." in last[1:] else last
    safe = "".join(c if c.isalnum() or c in " ._-+()" else "_" for c in stem).strip(" .")
    safe = "_" + safe if _RESERVED.match(safe) else safe
    # Counted in bytes, as file systems do: at most 255 with the ending of a result.
    return safe.encode()[:120].decode(errors="ignore") or "image"


ID_LETTERS = 26


def new_id() -> str:
    """An id that cannot be guessed: 128 random bits as 26 letters and digits."""
    number = secrets.randbits(128)
    letters = "0123456789abcdefghjkmnpqrstvwxyz"
    return "".join(letters[(number >> shift) & 31] for shift in range(125, -1, -5))
