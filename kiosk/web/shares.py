"""Share links: made, listed and withdrawn by the owner of a job, followed by everybody."""

from __future__ import annotations

from aiohttp import web

from kiosk import wire
from kiosk.authentication import Authentication
from kiosk.errors import KioskError
from kiosk.service import KioskService
from kiosk.web.answers import API
from kiosk.web.bodies import expire_time_of
from kiosk.web.callers import SHARE_COOKIE, caller_of


class ShareLinks:
    """Share links, and keeping a job longer."""

    def __init__(
        self, service: KioskService, authentication: Authentication, public_url: str = ""
    ) -> None:
        self._shares = service.shares
        self._authentication = authentication
        self._is_public_by_tls = public_url.startswith("https://")

    def add_to(self, app: web.Application) -> None:
        of_job = API + "/jobs/{id}/shares"
        app.router.add_post(of_job, self.create)
        app.router.add_get(of_job, self.list)
        app.router.add_delete(of_job + "/{share}", self.delete)
        app.router.add_get("/s/{token}", self.follow)

    async def create(self, request: web.Request) -> web.Response:
        until_s = await expire_time_of(request)
        job_id = request.match_info["id"]
        share, token = await self._shares.create(job_id, until_s, caller=caller_of(request))
        address = {"Location": f"{API}/jobs/{share.job_id}/shares/{share.id}"}
        answer = wire.share_to_json(
            share, token, self._shares.url(token), self._shares.zarr_url(token)
        )
        return web.json_response(answer, status=201, headers=address)

    async def list(self, request: web.Request) -> web.Response:
        found = await self._shares.list(request.match_info["id"], caller=caller_of(request))
        return web.json_response({"shares": [wire.share_to_json(share) for share in found]})

    async def delete(self, request: web.Request) -> web.Response:
        job_id, share_id = request.match_info["id"], request.match_info["share"]
        await self._shares.delete(job_id, share_id, caller=caller_of(request))
        return web.Response(status=204)

    async def follow(self, request: web.Request) -> web.Response:
        """Go to the job's page, with a cookie that is sent along for this job and nothing else."""
        token = request.match_info["token"]
        try:
            caller = await self._authentication.guest(token)
        except KioskError as error:  # for a person, who has just followed a link
            return web.Response(text=error.message, status=wire.status_of(error)[1])
        headers = {"Location": f"/jobs/{caller.job_id}", "Cache-Control": "no-store"}
        response = web.Response(status=303, headers=headers)
        response.set_cookie(
            SHARE_COOKIE,
            token,
            expires=wire.http_date(caller.expire_time_s),
            path=f"{API}/jobs/{caller.job_id}",
            secure=request.secure or self._is_public_by_tls,
            httponly=True,
            samesite="Strict",
        )
        return response
