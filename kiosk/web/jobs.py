"""Models, jobs and the state of the kiosk, as JSON."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, Literal

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import Field, ValidationError

from kiosk import wire
from kiosk.errors import InvalidRequest, PermissionDenied
from kiosk.job_search import JobSearch, state_named
from kiosk.jobs import Priority
from kiosk.reading import ReadOptions
from kiosk.request import Plane, Region, SegmentationRequest
from kiosk.service import KioskService
from kiosk.tracking_request import TrackingRequest
from kiosk.web.answers import API, told_once
from kiosk.web.bodies import Body, expire_time_of
from kiosk.web.callers import caller_of, caller_or_none


class ReadingBody(Body):
    """As ReadOptions in the proto."""

    member: str = ""
    series: int = 0
    axes: str = ""
    pixel_size_um: float = 0.0
    z_step_um: float = 0.0


class RegionBody(Body):
    """As Region in the proto."""

    min_y_px: int = 0
    min_x_px: int = 0
    max_y_px: int
    max_x_px: int


class PlaneBody(Body):
    """As Plane in the proto."""

    t: int = 0
    z: int = 0


class TrackingBody(Body):
    """What TrackRequest in the proto has beyond SegmentRequest."""

    labels: str = ""
    tracks: str = ""
    labels_are_tracks: bool = False
    skip_bad_frames: bool = False
    linker: str = ""
    longest_gap_frames: int | None = None
    reach_px: float = 0.0
    divisions: bool = True
    correct_drift: bool = True
    mend: bool = True


class JobRequest(Body):
    """Body of POST /api/v1/jobs; the fields are those of SegmentRequest in the proto.

    With `tracking`, be it empty, the cells are followed through time.
    """

    upload: str
    model: str = ""
    model_version: str = ""
    channel: str = ""
    parameters: dict[str, float] = Field(default_factory=dict)
    request_id: str = ""
    priority: Literal["", "interactive", "batch"] = ""
    reading: ReadingBody = ReadingBody()
    region: RegionBody | None = None
    volume: bool = False
    formats: list[str] = Field(default_factory=list)
    within: str = ""
    plane: PlaneBody | None = None
    preview: bool = False
    tracking: TrackingBody | None = None

    def tracked(self, options: TrackingBody) -> TrackingRequest:
        """Raises InvalidRequest."""
        values = options.model_dump()
        for name in ("labels", "tracks"):
            values[name] = values[name].removeprefix("uploads/")
        return TrackingRequest(segmentation=self.segmentation(), **values)

    def segmentation(self) -> SegmentationRequest:
        """Raises InvalidRequest."""
        return SegmentationRequest(
            channel=self.channel,
            postprocessing=self.parameters,
            reading=ReadOptions(**self.reading.model_dump()),
            region=Region(**self.region.model_dump()) if self.region else None,
            volume=self.volume,
            formats=tuple(self.formats),
            within=self.within.removeprefix("uploads/"),
            plane=Plane(**self.plane.model_dump()) if self.plane else None,
            preview=self.preview,
        )


class Jobs:
    """Models, jobs and the state of the kiosk, as JSON."""

    def __init__(self, service: KioskService) -> None:
        self._service = service

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/metrics", self.metrics)
        app.router.add_get(f"{API}/health", self.health)
        app.router.add_get(f"{API}/models", self.list_models)
        app.router.add_post(f"{API}/jobs", self.submit)
        app.router.add_get(f"{API}/jobs", self.list_jobs)
        app.router.add_get(API + "/jobs/{id}", self.get)
        app.router.add_delete(API + "/jobs/{id}", self.delete)
        app.router.add_post(API + "/jobs/{id}/cancel", self.cancel)
        app.router.add_post(API + "/jobs/{id}/extend", self.extend)
        app.router.add_post(API + "/jobs/{id}/redrive", self.redrive)
        app.router.add_get(f"{API}/dead-letters", self.list_dead_letters)

    async def metrics(self, request: web.Request) -> web.Response:
        body = await self._service.metrics(caller=caller_of(request))
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def health(self, request: web.Request) -> web.Response:
        """Whether the kiosk is well; how much there is to do is for those who are known."""
        answer: dict[str, Any] = {"status": "ok"}
        caller = caller_or_none(request)
        with suppress(PermissionDenied):
            if caller is not None:
                backlog = await self._service.backlog(caller=caller)
                answer["backlog"] = {"parts": backlog.parts, "jobs": backlog.jobs}
        return web.json_response(answer)

    async def list_models(self, request: web.Request) -> web.Response:
        cards = await self._service.list_models(caller=caller_of(request))
        return web.json_response({"models": [wire.model_to_json(card) for card in cards]})

    async def submit(self, request: web.Request) -> web.Response:
        wanted = await _job_request(request)
        names: dict[str, Any] = {
            "upload_id": wanted.upload.removeprefix("uploads/"),
            "model": wanted.model.removeprefix("models/"),
            "model_version": wanted.model_version,
            "request_id": wanted.request_id,
            "priority": Priority(wanted.priority) if wanted.priority else None,
            "caller": caller_of(request),
        }
        if wanted.tracking is not None:
            job = await self._service.track(**names, request=wanted.tracked(wanted.tracking))
        else:
            job = await self._service.segment(**names, request=wanted.segmentation())
        location = {"Location": f"{API}/jobs/{job.id}"}
        return web.json_response(wire.job_to_json(job), status=202, headers=location)

    async def list_jobs(self, request: web.Request) -> web.Response:
        size = request.query.get("page_size", "0")
        if not (size.isascii() and size.isdigit() and len(size) < 10):
            raise InvalidRequest("The page size must be a whole number.", field="page_size")
        jobs, token = await self._service.list_jobs(
            int(size),
            request.query.get("page_token", ""),
            caller=caller_of(request),
            all_owners=request.query.get("all_owners") == "true",
            search=JobSearch(
                text=request.query.get("search", ""),
                state=state_named(request.query.get("state", "")),
                previews=request.query.get("previews") == "true",
            ),
        )
        # In a thread, as in the gRPC API: nobody else shall wait for a long page.
        listed = await asyncio.to_thread(lambda: [wire.job_to_json(job) for job in jobs])
        return told_once(request, {"jobs": listed, "next_page_token": token})

    async def get(self, request: web.Request) -> web.Response:
        job = await self._service.get_job(request.match_info["id"], caller=caller_of(request))
        return told_once(request, wire.job_to_json(job))

    async def delete(self, request: web.Request) -> web.Response:
        await self._service.delete_job(request.match_info["id"], caller=caller_of(request))
        return web.Response(status=204)

    async def cancel(self, request: web.Request) -> web.Response:
        job = await self._service.cancel_job(request.match_info["id"], caller=caller_of(request))
        return web.json_response(wire.job_to_json(job))

    async def extend(self, request: web.Request) -> web.Response:
        until_s, job_id = await expire_time_of(request), request.match_info["id"]
        job = await self._service.extend_job(job_id, until_s, caller=caller_of(request))
        return web.json_response(wire.job_to_json(job))

    async def redrive(self, request: web.Request) -> web.Response:
        job = await self._service.redrive_job(request.match_info["id"], caller=caller_of(request))
        return web.json_response(wire.job_to_json(job))

    async def list_dead_letters(self, request: web.Request) -> web.Response:
        letters = await self._service.list_dead_letters(
            caller=caller_of(request), all_owners=request.query.get("all_owners") == "true"
        )
        listed = [wire.dead_letter_to_json(letter) for letter in letters]
        return web.json_response({"dead_letters": listed})


async def _job_request(request: web.Request) -> JobRequest:
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(text="A job is asked for with application/json.")
    try:
        return JobRequest.model_validate_json(await request.read())
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(step) for step in first["loc"])
        groups: dict[str, type[Body]] = {
            "reading": ReadingBody,
            "region": RegionBody,
            "plane": PlaneBody,
            "tracking": TrackingBody,
        }
        known = ", ".join(groups.get(field.split(".")[0], JobRequest).model_fields)
        sentence = {
            "extra_forbidden": f"There is no field '{field}'. The fields are: {known}.",
            "missing": f"The field '{field}' is missing.",
            "json_invalid": f"The request is not JSON: {first['msg']}.",
        }.get(first["type"], f"The field '{field}' is not right: {first['msg']}.")
        raise InvalidRequest(sentence, field=field) from error
