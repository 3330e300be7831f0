"""A small API server of Kubernetes on loopback: deployments, their scale, leases, watches.

It is as strict as the real one: versions of objects, kinds of patches, types, times. Failures of
every kind can be ordered with `inject`, and rights be taken away with `rights`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from kiosk.testing.api_objects import Object, Refused, check, invalid, merged, scale_of

KINDS = {"deployments": "Deployment", "leases": "Lease", "namespaces": "Namespace"}
PATCHES = ("application/merge-patch+json", "application/strategic-merge-patch+json")
VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_KUBECONFIG = """\
apiVersion: v1
kind: Config
current-context: fake
clusters: [{{name: fake, cluster: {{server: '{url}'}}}}]
users: [{{name: fake, user: {{token: secret}}}}]
contexts: [{{name: fake, context: {{cluster: fake, user: fake}}}}]
"""
HANG, LOSE = "hang", "lose"
_REASONS = {403: "Forbidden", 409: "Conflict", 410: "Expired", 429: "TooManyRequests"}

Key = tuple[str, str, str]
"""Resource, namespace, name."""


@dataclass
class Failure:
    """An ordered failure: a status, HANG (no answer at all) or LOSE (done, but not told)."""

    how: int | str
    method: str
    times: int


@dataclass
class ApiServer:
    """The server. `async with ApiServer() as server: server.url`.

    Attributes:
        rights: (verb, resource, name or "" where it has none) that are granted; None = all.
        asked: the same of every request so far.
    """

    rights: set[tuple[str, str, str]] | None = None
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    objects: dict[Key, Object] = field(default_factory=dict)
    _events: list[tuple[int, str, Key, Object]] = field(default_factory=list)
    _failures: list[Failure] = field(default_factory=list)
    _version: int = 0
    _oldest: int = 0
    _change: asyncio.Event = field(default_factory=asyncio.Event)
    _runner: web.AppRunner | None = None
    url: str = ""

    async def __aenter__(self) -> ApiServer:
        app = web.Application(middlewares=[self._middleware])
        ns = "/apis/{group}/v1/namespaces/{ns}/{resource}"
        app.router.add_get(ns, self._list)
        app.router.add_post(ns, self._create)
        app.router.add_post("/api/v1/{resource}", self._create)
        app.router.add_route("*", "/api/v1/{resource}/{name}", self._one)
        app.router.add_route("*", ns + "/{name}", self._one)
        app.router.add_route("*", ns + "/{name}/{sub}", self._one)
        self._runner = web.AppRunner(app, shutdown_timeout=0, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = "http://127.0.0.1:%d" % self._runner.addresses[0][1]  # noqa: UP031
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def kubeconfig(self, folder: Path) -> Path:
        """A file by which clients find this server."""
        path = folder / "kubeconfig"
        path.write_text(_KUBECONFIG.format(url=self.url))
        return path

    def put(self, resource: str, namespace: str, name: str, spec: Object) -> None:
        """An object as if somebody had created it."""
        metadata = {"name": name, "namespace": namespace, "generation": 1}
        self._store((resource, namespace, name), {"metadata": metadata, "spec": spec}, "ADDED")

    async def changed(self) -> None:
        """Returns after the next change of any object."""
        await self._change.wait()

    def inject(self, how: int | str, *, method: str = "", times: int = 1) -> None:
        """Answer the next requests (of this method) so, instead of doing what they ask."""
        self._failures.append(Failure(how, method, times))

    def expire(self) -> None:
        """Forget what watches could replay, as after a restart: older versions get 410."""
        self._oldest = self._version
        self._events.clear()

    @web.middleware
    async def _middleware(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        try:
            self._check_rights(request)
            return await self._failing(request, handler)
        except Refused as refused:
            return web.json_response(refused.status(), status=refused.code)

    def _check_rights(self, request: web.Request) -> None:
        info = request.match_info
        if "resource" not in info:
            raise Refused(404, "NotFound", "the server could not find the requested resource")
        resource = "/".join(info[part] for part in ("resource", "sub") if part in info)
        right = (VERBS[request.method], resource, info.get("name", ""))
        self.asked.append(right)
        if self.rights is not None and right not in self.rights:
            raise Refused(403, "Forbidden", f"cannot {right[0]} {resource} {right[2]!r}")

    async def _failing(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        ordered = [one for one in self._failures if one.method in ("", request.method)]
        if not ordered:
            return await handler(request)
        ordered[0].times -= 1
        if not ordered[0].times:
            self._failures.remove(ordered[0])
        how = ordered[0].how
        if isinstance(how, int):
            raise Refused(how, _REASONS.get(how, "InternalError"), f"ordered failure {how}")
        if how == LOSE:
            await handler(request)
        else:
            await asyncio.Event().wait()  # until the caller gives up
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    async def _list(self, request: web.Request) -> web.StreamResponse:
        resource, ns = request.match_info["resource"], request.match_info["ns"]
        if request.query.get("watch") in ("1", "true"):
            return await self._watch(request, resource, ns)
        items = [o for (r, n, _), o in self.objects.items() if (r, n) == (resource, ns)]
        metadata = {"resourceVersion": str(self._version)}
        return web.json_response({"kind": "List", "metadata": metadata, "items": items})

    async def _watch(self, request: web.Request, resource: str, ns: str) -> web.StreamResponse:
        """What happened since a version, a line each; it ends there, as watches do after a time."""
        since = int(request.query.get("resourceVersion", "0"))
        if since < self._oldest:
            raise Refused(410, "Expired", f"too old resource version: {since}")
        lines = [
            json.dumps({"type": kind, "object": item}) + "\n"
            for version, kind, key, item in self._events
            if version > since and key[:2] == (resource, ns)
        ]
        return web.Response(text="".join(lines), content_type="application/json")

    async def _create(self, request: web.Request) -> web.Response:
        resource, ns = request.match_info["resource"], request.match_info.get("ns", "")
        given = await _body(request)
        check(KINDS[resource], given)
        name = given.get("metadata", {}).get("name", "")
        if not name:
            raise invalid("metadata.name: Required value")
        key = (resource, ns, name)
        if key in self.objects:
            raise Refused(409, "AlreadyExists", f'{resource} "{name}" already exists')
        given["metadata"] |= {"namespace": ns, "generation": 1}
        return web.json_response(self._store(key, given, "ADDED"), status=201)

    async def _one(self, request: web.Request) -> web.Response:
        info = request.match_info
        key = (info["resource"], info.get("ns", ""), info["name"])
        if key not in self.objects:
            raise Refused(404, "NotFound", f'{key[0]} "{key[2]}" not found')
        if request.method == "DELETE":
            return web.json_response(self._delete(key))
        present, sub = self.objects[key], info.get("sub", "")
        shown = scale_of(present) if sub == "scale" else present
        if request.method == "GET":
            return web.json_response(shown)
        given = await _body(request)
        if request.method == "PATCH":
            given = merged(shown, given)
        self._check_update(KINDS[key[0]] if not sub else sub.capitalize(), shown, given, request)
        changed = self._changed(present, given, sub)
        stored = self._store(key, changed, "MODIFIED")
        return web.json_response(scale_of(stored) if sub == "scale" else stored)

    def _check_update(self, kind: str, shown: Object, given: Object, request: web.Request) -> None:
        if kind != "Status":
            check(kind, given)
        version = given.get("metadata", {}).get("resourceVersion")
        if request.method == "PUT" and not version:
            raise invalid("metadata.resourceVersion: must be specified for an update")
        if version != shown["metadata"]["resourceVersion"]:
            raise Refused(409, "Conflict", "the object has been modified")

    def _changed(self, present: Object, given: Object, sub: str) -> Object:
        changed = {**present, "metadata": {**present["metadata"]}}
        if sub == "status":
            changed["status"] = given.get("status", {})
            return changed
        spec = dict(given.get("spec", {}))
        if sub == "scale":
            spec = {**present["spec"], "replicas": spec.get("replicas", 0)}
        if spec != present.get("spec"):
            changed["metadata"]["generation"] = present["metadata"]["generation"] + 1
        changed["spec"] = spec
        return changed

    def _store(self, key: Key, item: Object, kind: str) -> Object:
        """Every write moves the version, also one that changes nothing."""
        self._version += 1
        stored = {**item, "metadata": {**item["metadata"], "resourceVersion": str(self._version)}}
        self.objects[key] = stored
        self._events.append((self._version, kind, key, stored))
        self._change.set()
        self._change = asyncio.Event()
        return stored

    def _delete(self, key: Key) -> Object:
        """A namespace goes with all that is in it."""
        gone = [key, *(k for k in self.objects if key[0] == "namespaces" and k[1] == key[2])]
        self._version += 1
        for one in gone:
            self._events.append((self._version, "DELETED", one, self.objects.pop(one)))
        return {"kind": "Status", "status": "Success"}


async def _body(request: web.Request) -> Any:
    kinds = PATCHES if request.method == "PATCH" else ("application/json",)
    if request.content_type not in kinds:
        raise Refused(415, "UnsupportedMediaType", f"the body is {request.content_type}")
    try:
        return await request.json()
    except ValueError as error:
        raise Refused(400, "BadRequest", f"the body is no JSON: {error}") from error
