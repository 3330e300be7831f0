"""Progress of jobs as server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Any, cast

from aiohttp import web

from kiosk import wire
from kiosk.authentication import Authentication
from kiosk.errors import InvalidRequest, NotFound, Unauthenticated
from kiosk.jobs import JobEvent
from kiosk.service import KioskService
from kiosk.web.answers import API, cut_on_error
from kiosk.web.callers import caller_of

# Proxies cut connections that are silent for 30 or 60 seconds.
KEEP_ALIVE_S = 15.0
# Each watched job costs a connection to Redis.
MOST_WATCHED_JOBS = 16


class Events:
    """Progress of jobs as server-sent events; the data of each is the job."""

    def __init__(self, service: KioskService, authentication: Authentication) -> None:
        self._service = service
        self._authentication = authentication
        self._streams: set[asyncio.Task[Any]] = set()

    def add_to(self, app: web.Application) -> None:
        app.router.add_get(API + "/jobs/{id}/events", self.of_one)
        app.router.add_get(f"{API}/events", self.of_many)
        app.on_shutdown.append(self._stop)

    async def of_one(self, request: web.Request) -> web.StreamResponse:
        job_id = request.match_info["id"]
        after = request.headers.get("Last-Event-ID", "")
        events = await self._service.watch_job(job_id, after, caller=caller_of(request))
        return await self._stream(request, events, with_ids=True)

    async def of_many(self, request: web.Request) -> web.StreamResponse:
        """Several jobs on one connection, because a browser opens no more than six to a server.

        There are no event ids: each job begins with how it stands, so nothing is missed by
        connecting again. Ends when all jobs have ended; unknown jobs are left out.
        """
        job_ids = list(dict.fromkeys(request.query.getall("job", [])))
        if not 0 < len(job_ids) <= MOST_WATCHED_JOBS:
            raise InvalidRequest(f"Name 1 to {MOST_WATCHED_JOBS} jobs with ?job=...", field="job")
        streams = []
        for job_id in job_ids:
            with suppress(NotFound):
                streams.append(await self._service.watch_job(job_id, caller=caller_of(request)))
        return await self._stream(request, _merged(streams), with_ids=False)

    async def _stream(
        self, request: web.Request, events: AsyncIterator[JobEvent], with_ids: bool
    ) -> web.StreamResponse:
        # no-transform and X-Accel-Buffering: proxies must pass each event on at once.
        headers = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}
        response = web.StreamResponse(headers=headers)
        response.content_type = "text/event-stream"
        await response.prepare(request)
        task = cast(asyncio.Task[Any], asyncio.current_task())
        self._streams.add(task)
        try:
            with cut_on_error(request):
                await response.write(b"retry: 2000\n\n")
                known = self._authentication.while_known(caller_of(request), events)
                async for event in _with_pauses(known, KEEP_ALIVE_S):
                    await response.write(_sse(event, with_ids))
        finally:
            self._streams.discard(task)
        return response

    async def _stop(self, app: web.Application) -> None:
        """A stream ends with its job, which may be hours away; a server that stops ends it now."""
        for task in self._streams:
            task.cancel()


def _sse(event: JobEvent | None, with_id: bool) -> bytes:
    if event is None:
        return b": still here\n\n"
    data = f"data: {json.dumps(wire.job_to_json(event.job))}\n\n"
    return (f"id: {event.id}\n{data}" if with_id else data).encode()


async def _with_pauses(
    events: AsyncIterator[JobEvent], pause_s: float
) -> AsyncIterator[JobEvent | None]:
    """The events, and None whenever none has come for `pause_s`.

    Ends when a job is deleted and when the caller's credentials hold no more.
    """
    pending = asyncio.ensure_future(anext(events))
    try:
        while True:
            done, _ = await asyncio.wait({pending}, timeout=pause_s)
            if not done:
                yield None
                continue
            try:
                event = pending.result()
            except (StopAsyncIteration, NotFound, Unauthenticated):
                return
            yield event
            pending = asyncio.ensure_future(anext(events))
    finally:
        pending.cancel()


async def _merged(streams: Sequence[AsyncIterator[JobEvent]]) -> AsyncIterator[JobEvent]:
    """The events of several jobs as they come."""
    arrived: asyncio.Queue[JobEvent | Exception | None] = asyncio.Queue()

    async def forward(stream: AsyncIterator[JobEvent]) -> None:
        try:
            async for event in stream:
                arrived.put_nowait(event)
            arrived.put_nowait(None)
        except Exception as error:
            arrived.put_nowait(None if isinstance(error, NotFound) else error)

    tasks = [asyncio.create_task(forward(stream)) for stream in streams]
    try:
        running = len(tasks)
        while running:
            item = await arrived.get()
            if isinstance(item, Exception):
                raise item
            if item is None:
                running -= 1
            else:
                yield item
    finally:
        for task in tasks:
            task.cancel()
