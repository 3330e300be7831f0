"""The outside world as the kiosk sees it: one Protocol per outside system.

Adapters implement these over Redis, a store, Triton and files; `kiosk.testing` implements
them in memory. Pipelines and the service know nothing else.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, BinaryIO, Protocol, runtime_checkable

import numpy as np

from kiosk.api_keys import ApiKey
from kiosk.jobs import DeadLetter, Job, JobEvent, Lease, Part
from kiosk.models import ModelCard
from kiosk.reading import ReadOptions
from kiosk.rollouts import Rollout


@dataclass(frozen=True, kw_only=True)
class ModelLoad:
    """Open work for one version of one model; `model` "" are jobs that need none.

    Attributes:
        open_px: pixels of open jobs that are not done yet.
        px_per_slot_s: pixels that one slot of a consumer (it does a part at a time) gets done per
            second, as measured over the last minutes; 0 = nothing was measured yet.
    """

    model: str
    version: str
    open_px: int
    px_per_slot_s: float = 0.0


@dataclass(frozen=True)
class Backlog:
    """Work that is waiting or being done.

    Attributes:
        parts: of all open jobs.
        jobs: that are open.
        leased: parts that consumers hold.
        oldest_s: about how long ago the oldest job was submitted of those next in line; 0 = none.
            Next in line is the first job of each owner; of many owners only some are looked at.
        models: what is open for each model; one with nothing open stays while its pace is known.
    """

    parts: int
    jobs: int
    leased: int = 0
    oldest_s: float = 0.0
    models: tuple[ModelLoad, ...] = ()


class JobQueue(Protocol):
    """Jobs and their parts. Every method is one atomic step of the queue."""

    async def submit(self, job: Job) -> Job:
        """Store a job and queue its plan part; a known request_id returns the job of then.

        Raises AlreadyExists when the request_id came before with other content, and Overloaded
        when too much is open already, of this owner or of all.
        """

    async def lease(self, consumer: str, wait_s: float) -> Lease | None:
        """The next part for this consumer, or None when none came within `wait_s`.

        Interactive jobs go first; owners take turns, and so do the jobs of each.
        """

    async def renew(self, lease: Lease) -> None:
        """Keep a lease. Raises LeaseLost when it is gone or the job is no longer open."""

    async def planned(self, lease: Lease, parts: Sequence[Part], notes: Sequence[str]) -> None:
        """End of a plan part: store the parts and hand out the first of them."""

    async def complete(self, lease: Lease) -> None:
        """End of a part; the last one of a job releases its join."""

    async def succeed(self, lease: Lease, parts: int = 0, notes: Sequence[str] = ()) -> None:
        """The job has succeeded: end of a join, or of a plan whose few parts were done at once.

        Args:
            parts, notes: of such a plan; left out for a join.
        """

    async def retry(self, lease: Lease, reason: str) -> None:
        """Give a part back for another attempt, or to the dead letters after the last one."""

    async def postpone(self, lease: Lease, reason: str) -> None:
        """Give a part back because an outside system is out of order.

        It is handed out again after a delay that grows, the attempt does not count, and the job
        shows the reason. After many such delays of one part it counts as an attempt after all.
        """

    async def release(self, lease: Lease) -> None:
        """Give a part back at once, without counting the attempt: its consumer is stopping."""

    async def fail(self, lease: Lease, reason: str, message: str) -> None:
        """The job has failed for a reason that another attempt would not change."""

    async def get(self, job_id: str) -> Job:
        """The job as it stands. Raises NotFound."""

    async def list_jobs(
        self, limit: int, before: str = "", owner: str | None = None
    ) -> tuple[list[Job], str]:
        """Newest first: at most `limit` jobs and the token for the page that follows ('' = end).

        Args:
            owner: only jobs of this owner; None for those of all.
        """

    async def jobs_ahead(self, job_id: str) -> int | None:
        """About how many jobs have a turn before a queued one; None when it is not queued.

        An estimate in bounded time, as if nobody came and every turn ended a job: of its owner
        those before it, of every other owner as many as have a turn meanwhile, of the other
        priority those that come in between. Raises NotFound.
        """

    async def cancel(self, job_id: str) -> Job:
        """Stop an open job; a finished one is left as it is."""

    async def delete(self, job_id: str) -> None:
        """Forget a finished job. Raises WrongState while it is open."""

    async def extend(self, job_id: str, expire_time_s: float) -> Job:
        """Keep a job until then. Raises NotFound."""

    async def redrive(self, job_id: str) -> Job:
        """Begin a failed or cancelled job anew, with all of its attempts.

        Raises WrongState for any other job, and while what it left is still being removed.
        """

    def watch(self, job_id: str, after: str = "") -> AsyncIterator[JobEvent]:
        """The job now (or as soon as it has changed since the event `after`), then its changes.

        Changes that come faster than they are taken are told as one. Ends with a final state.
        """

    async def expired(self) -> list[str]:
        """Ids of jobs whose expire time has passed."""

    async def litter(self) -> list[str]:
        """Ids of closed jobs whose intermediate files are due to be removed; see `cleaned`."""

    async def cleaned(self, job_id: str) -> None:
        """The intermediate files of a closed job are gone."""

    async def backlog(self) -> Backlog:
        """How much work there is, in a time that does not grow with it."""

    async def dead_letters(self, limit: int = 100, owner: str | None = None) -> list[DeadLetter]:
        """Parts that were given up, newest first; each goes with its job."""


class KeyRing(Protocol):
    """API keys, and the secret with which this kiosk signs."""

    async def add(self, key: ApiKey) -> None:
        """Keep a new key."""

    async def get(self, key_id: str) -> ApiKey:
        """Raises NotFound."""

    async def list(self) -> list[ApiKey]:
        """All keys, those that hold no more included, the oldest first."""

    async def revoke(self, key_id: str, time_s: float) -> ApiKey:
        """From now on the key opens nothing; the first time counts. Raises NotFound."""

    async def used(self, key_id: str, time_s: float) -> None:
        """Note that a key was used."""

    async def signing_secret(self) -> str:
        """The secret that all servers of this kiosk share; made at the first call."""


# What becomes of a rollout; None = the model has none.
RolloutChange = Callable[[Rollout | None], Rollout | None]


class RolloutBook(Protocol):
    """The rollouts of all models."""

    async def list(self) -> list[Rollout]:
        """All rollouts, by the name of the model. Raises TransientError."""

    async def update(self, model: str, change: RolloutChange) -> Rollout | None:
        """Change the rollout of a model as it stands at that moment, and return it.

        `change` is called again when somebody else was quicker, so that no step is lost; what it
        raises is raised, and then nothing has changed.
        """


class IdentityProvider(Protocol):
    """Vouches for people by tokens that it has signed (OpenID Connect)."""

    async def claims(self, token: str) -> Mapping[str, Any]:
        """What a token says, once its signature, issuer, audience and times are right.

        Raises:
            Unauthenticated: the token does not hold.
            TransientError: the provider does not answer.
        """


class ObjectStore(Protocol):
    """Named byte strings in a folder or a bucket."""

    async def put(self, key: str, data: bytes) -> None: ...

    async def put_file(self, key: str, file: BinaryIO) -> None:
        """Store a local file from its beginning."""

    async def get(self, key: str) -> bytes:
        """Raises NotFound."""

    async def size(self, key: str) -> int:
        """Size in bytes. Raises NotFound."""

    def read(self, key: str, offset: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from `offset` on, in chunks. Raises NotFound."""

    async def list(self, prefix: str) -> list[tuple[str, int]]:
        """(key, size in bytes) below a prefix of whole path segments, sorted by key."""

    async def delete_prefix(self, prefix: str) -> None:
        """Delete the object of that name and all below it; nothing there is no error."""

    def open(self, key: str) -> BinaryIO:
        """A seekable file for lazy reading; for use in a thread. Raises NotFound."""

    async def flush(self, prefix: str) -> None:
        """When this returns, what lies below a prefix outlives a power failure."""

    async def check(self) -> None:
        """Raises Outage while nothing can be read or stored."""


@dataclass(frozen=True)
class SourceFile:
    """A file of a model repository elsewhere.

    Attributes:
        path: with / between its parts, as the source has it; not to be trusted.
        mark: another text when the content has changed.
    """

    path: str
    size_bytes: int
    mark: str


class ModelSource(Protocol):
    """A model repository in a folder or a bucket, to be read only."""

    async def files(self) -> list[SourceFile]:
        """All files, by their paths. Raises Outage."""

    async def fetch(self, file: SourceFile, target: BinaryIO) -> None:
        """Write the bytes of a file to `target`. Raises NotFound, Outage."""


# Rows and columns of a plane, both with start and stop.
Window = tuple[slice, slice]


class ImageSource(Protocol):
    """One opened image. Pixels are read lazily; all methods are for use in a thread.

    Attributes:
        format: what the file is, e.g. "OME-TIFF".
        sizes: {"t": n, "c": n, "z": n, "y": n, "x": n}, every axis at least 1.
        axes: the axes as they lie in the file, slowest first, e.g. "TCYX".
        is_rgb: the three channels are red, green and blue samples.
        channel_names: one per channel; made up ("channel 0") where the file has none. What it says
            of their colours, few formats have: see `channel_colors_of`.
        pixel_size_um: (y, x), or None when the file does not say.
        z_step_um: distance of planes along z, or None.
        frame_interval_s: seconds from one time point to the next, or None.
        levels: (y, x) sizes of a plane at each stored resolution, full size first.
        notes: what was guessed or left out, in plain sentences.
    """

    format: str
    sizes: Mapping[str, int]
    axes: str
    dtype: np.dtype[Any]
    is_rgb: bool
    channel_names: Sequence[str]
    pixel_size_um: tuple[float, float] | None
    z_step_um: float | None
    frame_interval_s: float | None
    levels: Sequence[tuple[int, int]]
    notes: Sequence[str]

    def plane(
        self,
        t: int,
        z: int,
        channels: Sequence[int],
        window: Window | None = None,
        level: int = 0,
    ) -> np.ndarray:
        """(len(channels), y, x) pixels in the file's dtype: a whole plane, or a window of it.

        Args:
            window: rows and columns at that level; None = all.
            level: number of a resolution in `levels`.
        """

    def close(self) -> None: ...


def channel_colors_of(source: ImageSource) -> Sequence[str]:
    """Colours of the channels, "#RRGGBB" or "" for unknown: `channel_colors` where there is one."""
    colors: Sequence[str] = getattr(source, "channel_colors", ())
    return colors or ("",) * source.sizes["c"]


@runtime_checkable
class Interruptible(Protocol):
    """An `ImageSource` whose reading can be ended from outside."""

    def interrupt(self) -> None:
        """Have a thread that is in `plane` fail at once with ReaderFailed; for any thread.

        The source can still be read, or closed, also while that thread has not noticed yet.
        """


@dataclass(frozen=True, kw_only=True)
class ImageEntry:
    """One image of a file that may hold several.

    Attributes:
        member, series: as in ReadOptions.
        title: what the file calls it; may be empty.
    """

    member: str = ""
    series: int = 0
    title: str = ""


# An image file: its bytes, or the address (file://, s3://, gs://) where it or its folder lies.
File = BinaryIO | str


class ImageFiles(Protocol):
    """Opens image files, whatever their format."""

    def open(self, file: File, file_name: str, options: ReadOptions = ReadOptions()) -> ImageSource:
        """Raises InvalidRequest with a plain sentence when the file cannot be read.

        Where another process reads it, also ReaderFailed, when that dies or is too slow.
        The source owns the file from then on; a file that is refused stays open.
        """

    def entries(self, file: File, file_name: str) -> list[ImageEntry]:
        """The images in a file: one for most files, more for archives and multi-series files.

        Raises InvalidRequest as `open` does. The file stays open and belongs to the caller.
        """


class InferenceClient(Protocol):
    """The models of a Triton server."""

    async def models(self) -> list[ModelCard]:
        """Cards of all models that are ready. Raises TransientError when Triton is not."""

    async def absent(self) -> set[str]:
        """Names of models that Triton has, but that are not loaded at present or being changed."""

    async def check(self) -> None:
        """Raises Outage while no model can be asked."""

    async def infer(
        self, model: str, version: str, inputs: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Run one request; batch axis first. Raises TransientError or PermanentError."""


class ModelReplica(Protocol):
    """One Triton, as administrators steer it. All methods raise KioskErrors as InferenceClient."""

    @property
    def address(self) -> str:
        """Host and port."""

    async def states(self) -> dict[str, dict[str, str]]:
        """Model -> version -> "" where it is ready, else why it is not."""

    async def card(self, model: str) -> ModelCard:
        """Of a model that is ready. Raises PermanentError when it is none for the kiosk."""

    async def load(self, model: str) -> None:
        """Load what the folder of a model holds; versions that are ready go on answering.

        Raises:
            NotFound: this Triton has no such folder.
            PermanentError: a version cannot be loaded.
            WrongState: the model's configuration would have its ready versions unloaded.
        """

    async def keep(self, model: str, versions: Sequence[str]) -> None:
        """Of a model that is loaded keep these versions only, until it is loaded anew."""

    async def unload(self, model: str) -> None:
        """Unload all versions; returns when they are gone."""

    async def infer(
        self, model: str, version: str, inputs: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """As `InferenceClient.infer`, on this Triton."""


class Role(StrEnum):
    """Roles whose replicas the autoscaler sets."""

    TRITON = "triton"
    CONSUMERS = "consumers"


@dataclass(frozen=True)
class RoleReplicas:
    """Replicas of a role.

    Attributes:
        desired: that it was told to have; those that are starting count.
        ready: that can work.
        version: of what was seen, for `Cluster.scale`.
    """

    desired: int
    ready: int
    version: str = ""


class Cluster(Protocol):
    """Where replicas run. All methods raise KioskError when no answer is to be had."""

    async def replicas(self, role: Role) -> RoleReplicas:
        """What there is. Raises NotFound, PermissionDenied, Outage."""

    async def scale(self, role: Role, replicas: int, seen: RoleReplicas) -> bool:
        """Set the replicas; False, and nothing is changed, when it changed since it was `seen`."""


@dataclass(frozen=True, kw_only=True)
class LeaderRecord:
    """Who of several processes leads.

    Attributes:
        holder: identity of the leader; "" = nobody, it has stepped down.
        duration_s: a record that does not change for so long may be taken over.
        acquired_s, renewed_s: Unix times by the holder's clock, for people; nothing is decided by
            them, because clocks differ.
        transitions: how often the leader changed.
        version: of what was read; "" in a record that is to be written.
    """

    holder: str
    duration_s: float
    acquired_s: float
    renewed_s: float
    transitions: int = 0
    version: str = ""


class LeaderRecords(Protocol):
    """One record that all who would lead can read and write. All methods raise KioskError."""

    async def read(self) -> LeaderRecord | None:
        """The record with its version; None while there is none."""

    async def write(self, record: LeaderRecord, seen: LeaderRecord | None) -> LeaderRecord | None:
        """Write it in the place of the one that was `seen` (None: where none is).

        Returns it with its new version, or None when somebody else wrote meanwhile.
        """
