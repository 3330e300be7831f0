"""Progress of jobs as server-sent events."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, cast

from aiohttp import web

from kiosk import wire
from kiosk.authentication import Authentication
from kiosk.errors import InvalidRequest, NotFound, Unauthenticated
from kiosk.jobs import JobEvent, JobState
from kiosk.service import KioskService
from kiosk.web.answers import API, cut_on_error
from kiosk.web.callers import caller_of

# Proxies cut connections that are silent for 30 or 60 seconds.
KEEP_ALIVE_S = 15.0
# How many jobs go before a queued one is looked up this often while somebody watches it, and by
# all streams of a server together not more often than the other number: each takes half a ms.
POSITION_S = 2.0
MOST_LOOKS_PER_S = 100
# Each watched job costs a connection to Redis.
MOST_WATCHED_JOBS = 16


Ahead = Callable[[], Awaitable[int | None]]


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

        async def ahead() -> int | None:
            return await self._service.jobs_ahead(job_id, caller=caller_of(request))

        return await self._stream(request, events, with_ids=True, ahead=ahead)

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
        self,
        request: web.Request,
        events: AsyncIterator[JobEvent],
        with_ids: bool,
        ahead: Ahead | None = None,
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
                async for told in self._with_pauses(known, ahead):
                    await response.write(_sse(told, with_ids))
        finally:
            self._streams.discard(task)
        return response

    async def _with_pauses(
        self, events: AsyncIterator[JobEvent], ahead: Ahead | None
    ) -> AsyncIterator[JobEvent | int | None]:
        """The events, None whenever none has come for KEEP_ALIVE_S, and, while the job is queued,
        how many jobs go before it, when that has changed.

        Ends when a job is deleted and when the caller's credentials hold no more.
        """
        now = asyncio.get_running_loop().time
        # Also before the first event: who comes back to a queued job is not told of it again.
        look_s, speak_s = now() + POSITION_S if ahead else math.inf, now() + KEEP_ALIVE_S
        told: int | None = None
        pending = asyncio.ensure_future(anext(events))
        try:
            while True:
                await asyncio.wait({pending}, timeout=max(0.0, min(look_s, speak_s) - now()))
                if pending.done():
                    event = pending.result()
                    yield event
                    pending = asyncio.ensure_future(anext(events))
                    look_s = now() if ahead and event.job.state is JobState.QUEUED else math.inf
                elif ahead and now() >= look_s:
                    number = await ahead()
                    look_s = math.inf if number is None else now() + self._position_s
                    if number in (None, told):
                        continue
                    told = number
                    yield number
                elif now() >= speak_s:
                    yield None
                else:
                    continue
                speak_s = now() + KEEP_ALIVE_S
        except (StopAsyncIteration, NotFound, Unauthenticated):
            return
        finally:
            pending.cancel()

    @property
    def _position_s(self) -> float:
        return max(POSITION_S, len(self._streams) / MOST_LOOKS_PER_S)

    async def _stop(self, app: web.Application) -> None:
        """A stream ends with its job, which may be hours away; a server that stops ends it now."""
        for task in self._streams:
            task.cancel()


def _sse(event: JobEvent | int | None, with_id: bool) -> bytes:
    if event is None:
        return b": still here\n\n"
    if isinstance(event, int):
        return f"event: position\ndata: {json.dumps({'jobs_ahead': event})}\n\n".encode()
    data = f"data: {json.dumps(wire.job_to_json(event.job))}\n\n"
    return (f"id: {event.id}\n{data}" if with_id else data).encode()


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
