"""What a consumer owes the queue for a lease: renewing it, saying how its part ended, tidying."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable

from kiosk.errors import KioskError, LeaseLost, NotFound, TransientError
from kiosk.jobs import Lease, job_prefix, parts_prefix
from kiosk.ports import JobQueue, ObjectStore

log = logging.getLogger(__name__)

RECONNECT_S = 1.0

Step = Callable[[], Awaitable[None]]
"""A step of the queue that ends a part."""


class LeaseKeeper:
    """Keeps and ends the leases of one consumer.

    Args:
        lease_s: as in the queue's policy; leases are renewed three times within it.

    Attributes:
        held: leases that are kept at present.
    """

    def __init__(self, queue: JobQueue, store: ObjectStore, lease_s: float) -> None:
        self._queue = queue
        self._store = store
        self._lease_s = lease_s
        self.held = 0

    async def keep(self, lease: Lease, work: asyncio.Task[Step]) -> None:
        """Renew a lease; when it is lost, cancel the work."""
        self.held += 1
        try:
            await self._keep(lease, work)
        finally:
            self.held -= 1

    async def _keep(self, lease: Lease, work: asyncio.Task[Step]) -> None:
        kept = time.monotonic()
        while True:
            await asyncio.sleep(self._lease_s / 3)
            asked = time.monotonic()
            try:
                # Counted from the question: when the answer comes, the lease is that much older.
                async with asyncio.timeout(max(RECONNECT_S, kept + self._lease_s - asked)):
                    await self._queue.renew(lease)
                kept = asked
            except (TransientError, TimeoutError):
                if time.monotonic() - kept > self._lease_s:
                    work.cancel()
                    return
            except LeaseLost:
                work.cancel()
                return

    async def report(self, lease: Lease, step: Step) -> None:
        """Tell the queue how a part ended, through short outages."""
        give_up = time.monotonic() + self._lease_s
        while True:
            try:
                await step()
                return
            except LeaseLost as error:
                log.info("%s", error)
                await self.tidy(lease)
                return
            except (NotFound, TransientError) as error:
                if time.monotonic() > give_up:
                    log.warning("the outcome of a part could not be reported: %s", error)
                    return
                await asyncio.sleep(RECONNECT_S)

    async def clean(self, lease: Lease) -> None:
        """Remove what the parts of a job left that has ended; if this fails, the server does it."""
        with contextlib.suppress(KioskError):
            await self._store.delete_prefix(parts_prefix(lease.job.id))
            await self._queue.cleaned(lease.job.id)

    async def tidy(self, lease: Lease) -> None:
        """Remove what a part whose lease was lost has written for a job that is over or gone.

        Whoever ended the job has cleaned up already, and will not do so again.
        """
        job_id = lease.job.id
        with contextlib.suppress(KioskError):
            try:
                job = await self._queue.get(job_id)
            except NotFound:
                await self._store.delete_prefix(job_prefix(job_id))
                return
            if job.state.is_final:
                await self._store.delete_prefix(parts_prefix(job_id))
