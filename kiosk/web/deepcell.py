"""The API of the DeepCell Kiosk, so that programs written for it can use this one unchanged.

A `hash` there is the id of a job here, for a zip that of the job of its first image. What is told
of a hash is derived from the job: nobody gets at the queue's own records through `/api/redis`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from aiohttp import web

from kiosk.authentication import Authentication
from kiosk.callers import Caller, Scope
from kiosk.errors import InvalidRequest, NotFound
from kiosk.job_groups import JobGroup
from kiosk.jobs import Job, result_stem
from kiosk.reading import InspectedImage, ReadOptions
from kiosk.request import SegmentationRequest
from kiosk.service import KioskService
from kiosk.tracking_request import TrackingRequest
from kiosk.web.answers import API, OLD_API, OLD_UPLOAD, UPLOADS
from kiosk.web.bodies import body_of
from kiosk.web.callers import caller_of
from kiosk.web.deepcell_files import OldFiles
from kiosk.web.deepcell_jobs import fields_of
from kiosk.web.deepcell_requests import (
    TWO_IMAGES,
    ExpireBody,
    FieldsBody,
    HashBody,
    PredictBody,
    Wanted,
    axes_of,
    notes_of,
    wanted,
)
from kiosk.web.forms import form_file
from kiosk.web.zips import send_zip

# Images of one zip: all are submitted before the answer, and looked at whenever somebody asks.
MOST_IMAGES = 500


class DeepCell:
    """The API of the DeepCell Kiosk.

    Args:
        models: type of job -> the model that does it.
        public_url: where people reach the kiosk; "" = as they have called it.
    """

    def __init__(
        self,
        service: KioskService,
        authentication: Authentication,
        models: Mapping[str, str],
        public_url: str = "",
    ) -> None:
        self._service, self._models, self._public_url = service, models, public_url
        self._files = OldFiles(service, authentication)

    def add_to(self, app: web.Application) -> None:
        app.router.add_get(f"{OLD_API}/health-check", self.health)
        app.router.add_get(f"{OLD_API}/jobtypes", self.job_types)
        app.router.add_get(f"{OLD_API}/models", self.models)
        app.router.add_post(OLD_UPLOAD, self.upload)
        app.router.add_post(f"{OLD_API}/predict", self.predict)
        app.router.add_post(f"{OLD_API}/status", self.status)
        app.router.add_post(f"{OLD_API}/redis", self.fields)
        app.router.add_post(f"{OLD_API}/redis/expire", self.expire)
        app.router.add_get(OLD_API + "/output/{id}/{file}", self.output)

    async def health(self, request: web.Request) -> web.Response:
        return web.json_response({"message": "success"})

    async def job_types(self, request: web.Request) -> web.Response:
        caller_of(request).require(Scope.READ)
        notes = notes_of(self._models)
        return web.json_response({"jobTypes": list(self._models), "notes": notes})

    async def models(self, request: web.Request) -> web.Response:
        cards = await self._service.list_models(caller=caller_of(request))
        return web.json_response({"models": {card.name: list(card.versions) for card in cards}})

    # ------------------------------------------------------------------ uploads

    async def upload(self, request: web.Request) -> web.Response:
        caller, uploads = caller_of(request), self._service.uploads
        file_name, data = await form_file(request)
        upload = await uploads.create(file_name, -1, "", caller=caller)
        try:
            await uploads.append(upload.id, 0, data, finish=True, caller=caller)
        except BaseException:
            # Nobody knows where to send the rest to.
            with suppress(NotFound):
                await asyncio.shield(uploads.delete(upload.id, caller=caller))
            raise
        name = f"uploads/{upload.id}{PurePosixPath(file_name).suffix[:10]}"
        address = f"{UPLOADS}/{upload.id}/images"
        return web.json_response(
            {"uploadedName": name, "imageURL": self._base(request) + address},
            headers={"Location": f"{UPLOADS}/{upload.id}"},
        )

    # ------------------------------------------------------------------ jobs

    async def predict(self, request: web.Request) -> web.Response:
        caller = caller_of(request)
        caller.require(Scope.WRITE)
        body = await body_of(
            request, PredictBody, '{"jobType": "segmentation", "imageName", "uploadedName", ...}'
        )
        asked = wanted(body, self._models)
        known = re.fullmatch(r"(?:uploads/)?([A-Za-z0-9]+)(?:\..*)?", body.uploadedName)
        if known is None:
            raise InvalidRequest(
                "The request does not say which upload is meant. Send the file to /api/upload and"
                " give its uploadedName.",
                field="uploadedName",
            )
        upload_id = known.group(1)
        images = await self._service.inspect(upload_id, caller=caller, list_only=True)
        asked = await self._with_model(asked, body, caller)
        if any(image.reading.member for image in images):
            job = await self._submitted_all(upload_id, asked, images, caller)
        elif len(asked.jobs) > 1:
            whole = InspectedImage(reading=ReadOptions())
            job = await self._submitted_all(upload_id, asked, [whole], caller)
        else:
            job = await self._submitted(upload_id, asked.jobs[0], ReadOptions(), caller)
        return web.json_response({"hash": job.id}, headers={"Location": f"{API}/jobs/{job.id}"})

    async def _with_model(self, asked: Wanted, body: PredictBody, caller: Caller) -> Wanted:
        """Programs name models of the other kiosk, which there are none of here; one of ours is
        taken."""
        cards = {card.name: card for card in await self._service.list_models(caller=caller)}
        card, version = cards.get(body.modelName), str(body.modelVersion)
        if card is None:
            return asked
        version = version if version in card.versions else ""
        return replace(asked, model=card.name, model_version=version)

    async def _submitted_all(
        self, upload_id: str, asked: Wanted, images: list[InspectedImage], caller: Caller
    ) -> Job:
        """The jobs of each image of a zip; the first of them. Images that are none are noted."""
        if len(images) > MOST_IMAGES:
            raise InvalidRequest(
                f"The zip has {len(images)} images, and {MOST_IMAGES} are taken at a time in this"
                " way. Send several, or use `kiosk segment`.",
                reason="TOO_MANY_IMAGES",
            )
        jobs: list[Job] = []
        nuclei: dict[str, str] = {}
        refused: dict[str, str] = {}
        try:
            for image in images:
                of_image: list[Job] = []
                try:
                    for item in asked.jobs:
                        job = await self._submitted(upload_id, item, image.reading, caller)
                        of_image.append(job)
                        jobs.append(job)
                except InvalidRequest as error:
                    if not image.reading.member:
                        raise
                    refused[image.reading.member] = error.message
                nuclei |= {job.id: of_image[0].id for job in of_image[1:]}
        except BaseException:
            for job in jobs:  # all or none, or they would be asked for twice
                await self._service.cancel_job(job.id, caller=caller)
            raise
        if not jobs:
            name, reason = next(iter(refused.items()))
            raise InvalidRequest(
                f"No image of the zip can be used. '{name}': {reason}", field="imageName"
            )
        await self._service.groups.keep(jobs, refused, nuclei)
        return jobs[0]

    async def _submitted(
        self, upload_id: str, asked: Wanted, reading: ReadOptions, caller: Caller
    ) -> Job:
        request = SegmentationRequest(
            channel=asked.channel,
            formats=asked.formats,
            reading=replace(
                _only(reading),
                axes=await self._axes(upload_id, asked, reading, caller),
                pixel_size_um=asked.pixel_size_um,
            ),
        )
        names: dict[str, Any] = {
            "upload_id": upload_id,
            "model": asked.model,
            "model_version": asked.model_version,
            "caller": caller,
        }
        if asked.is_tracking:
            return await self._service.track(**names, request=TrackingRequest(segmentation=request))
        return await self._service.segment(**names, request=request)

    async def _axes(
        self, upload_id: str, asked: Wanted, reading: ReadOptions, caller: Caller
    ) -> str:
        if asked.kind not in TWO_IMAGES and len(asked.axes) < 3:
            return ""
        (image,) = await self._service.inspect(upload_id, _only(reading), caller=caller)
        return axes_of(asked, image)

    # ------------------------------------------------------------------ what became of them

    async def status(self, request: web.Request) -> web.Response:
        body = await body_of(request, HashBody, '{"hash": "..."}')
        told = await self._told(request, body.hash)
        return web.json_response({"status": told["status"]})

    async def fields(self, request: web.Request) -> web.Response:
        body = await body_of(request, FieldsBody, '{"hash": "...", "key": "status"}')
        told = await self._told(request, body.hash)
        if isinstance(body.key, str):
            return web.json_response({"value": told.get(body.key)})
        return web.json_response({"value": [told.get(name) for name in body.key]})

    async def expire(self, request: web.Request) -> web.Response:
        """Taken note of, no more: jobs here are kept and deleted by the kiosk's own times."""
        body = await body_of(request, ExpireBody, '{"hash": "...", "expireIn": 3600}')
        await self._group(request, body.hash)
        return web.json_response({"value": 1})

    async def output(self, request: web.Request) -> web.StreamResponse:
        group = await self._group(request, request.match_info["id"])
        if not group.succeeded:
            raise NotFound("There are no results of this hash yet.", reason="NO_RESULTS")
        members = self._files.members(group, caller_of(request))
        return await send_zip(request, _zip_name(group), members)

    async def _told(self, request: web.Request, name: str) -> dict[str, str | None]:
        group = await self._group(request, name)
        url = f"{self._base(request)}{OLD_API}/output/{group.id}/{_zip_name(group)}"
        return fields_of(group, url)

    async def _group(self, request: web.Request, name: str) -> JobGroup:
        """By its hash, before which programs may put words of their own. Raises NotFound."""
        job_id = re.split(r"[:/]", name)[-1]
        return await self._service.groups.get(job_id, caller=caller_of(request))

    def _base(self, request: web.Request) -> str:
        return self._public_url or f"{request.scheme}://{request.host}"


def _only(reading: ReadOptions) -> ReadOptions:
    return ReadOptions(member=reading.member, series=reading.series)


def _zip_name(group: JobGroup) -> str:
    """Letters that need no escaping in an address."""
    stem = result_stem(group.jobs[0].file_name) if not group.is_zip else "results"
    return re.sub(r"[^A-Za-z0-9._-]", "_", stem) + ".zip"
