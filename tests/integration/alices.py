"""What alice has in a kiosk that asks who calls, and every call of both APIs that names it."""

from __future__ import annotations

import io
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import grpc
import numpy as np
import tifffile
from aiohttp import CookieJar
from aiohttp.test_utils import TestClient, TestServer
from google.protobuf.timestamp_pb2 import Timestamp

from kiosk import wire
from kiosk._proto import kiosk_pb2 as pb
from kiosk._proto import kiosk_pb2_grpc as pb_grpc
from kiosk.adapters.image_files import ImageFileReader
from kiosk.api_keys import new_api_key
from kiosk.authentication import Authentication
from kiosk.callers import Scope
from kiosk.grpc_api import GrpcServer
from kiosk.request import SegmentationRequest
from kiosk.settings import CHECKOUT, LimitSettings
from kiosk.testing import FakeKiosk, MemoryKeyRing, make_caller, make_kiosk
from kiosk.tracking_request import TrackingRequest
from kiosk.web import make_app

ALICE, MALLORY = make_caller("alice"), make_caller("mallory")
SCOPES = {
    "alice": ("alice", [Scope.READ, Scope.WRITE]),
    "mallory": ("mallory", [Scope.READ, Scope.WRITE]),
    "reader": ("alice", [Scope.READ]),
    "admin": ("root", [Scope.ADMIN]),
    "monitor": ("monitor", [Scope.METRICS]),
}


@dataclass
class Alices:
    """What alice has: an upload, a finished tracking of it, a job that waits, one that was
    cancelled, and an upload that began."""

    fake: FakeKiosk
    keys: MemoryKeyRing
    tokens: dict[str, str]
    upload: str
    done: str
    open: str
    begun: str
    stopped: str
    share: str
    link: str

    @property
    def door(self) -> Authentication:
        shares = self.fake.service.shares
        return Authentication(self.keys, shares=shares, required=True, memory_s=0.0)

    def bearer(self, who: str) -> str:
        """The header of somebody; "" = nobody."""
        return f"Bearer {self.tokens.get(who, who)}" if who else ""

    def nowhere(self) -> Alices:
        """The same, with ids that nobody has."""
        ids = dict.fromkeys(("upload", "done", "open", "begun", "stopped", "share"), "0" * 26)
        return replace(self, **ids)  # type: ignore[arg-type]


async def make_alices() -> Alices:
    """A kiosk of fakes with all that."""
    fake = make_kiosk(ImageFileReader(LimitSettings()))
    file = io.BytesIO()
    plane = np.zeros((2, 32, 32), np.uint8)
    plane[:, 4:12, 4:12] = 200
    tifffile.imwrite(file, plane, ome=True, metadata={"axes": "TYX"})
    upload = await fake.upload(file.getvalue(), "cells.tif", caller=ALICE)
    # Only what the calls name: this is made anew for each of hundreds of tests.
    files = TrackingRequest(segmentation=SegmentationRequest(formats=("labels", "tracks")))
    done = await fake.service.track(upload_id=upload, model="bright", request=files, caller=ALICE)
    await fake.work()
    waiting = await fake.service.segment(upload_id=upload, model="bright", caller=ALICE)
    begun = await fake.service.uploads.create("more.tif", 10, "", caller=ALICE)
    stopped = await fake.service.segment(upload_id=upload, model="bright", caller=ALICE)
    await fake.service.cancel_job(stopped.id, caller=ALICE)
    until_s = time.time() + 3600.0
    share, link = await fake.service.shares.create(done.id, until_s, caller=ALICE)
    keys, tokens = fake.keys, {}
    for name, (owner, scopes) in SCOPES.items():
        key, tokens[name] = new_api_key(owner, scopes, time_s=1.0)
        await keys.add(key)
    return Alices(
        fake, keys, tokens, upload, done.id, waiting.id, begun.id, stopped.id, share.id, link
    )


# ---------------------------------------------------------------- gRPC


def soon() -> Timestamp:
    """In an hour."""
    return Timestamp(seconds=int(time.time()) + 3600)


def result_name(has: Alices) -> str:
    return f"jobs/{has.done}/results/cells_tracks.csv"


# RPC -> its request for what is alice's. OPEN are those that name nothing of anybody's.
NAMING: dict[str, Callable[[Alices], Any]] = {
    "GetUpload": lambda has: pb.GetUploadRequest(name=f"uploads/{has.begun}"),
    "WriteUpload": lambda has: iter(
        [pb.WriteUploadRequest(name=f"uploads/{has.begun}", data=b"1234567890")]
    ),
    "InspectUpload": lambda has: pb.InspectUploadRequest(name=f"uploads/{has.upload}"),
    "DeleteUpload": lambda has: pb.DeleteUploadRequest(name=f"uploads/{has.begun}"),
    "Segment": lambda has: pb.SegmentRequest(upload=f"uploads/{has.upload}", model="bright"),
    "Track": lambda has: pb.TrackRequest(upload=f"uploads/{has.upload}", model="bright"),
    "GetJob": lambda has: pb.GetJobRequest(name=f"jobs/{has.done}"),
    "WatchJob": lambda has: pb.WatchJobRequest(name=f"jobs/{has.done}"),
    "CancelJob": lambda has: pb.CancelJobRequest(name=f"jobs/{has.open}"),
    "RedriveJob": lambda has: pb.RedriveJobRequest(name=f"jobs/{has.stopped}"),
    "ExtendJob": lambda has: pb.ExtendJobRequest(name=f"jobs/{has.done}", expire_time=soon()),
    "CreateShare": lambda has: pb.CreateShareRequest(job=f"jobs/{has.done}", expire_time=soon()),
    "ListShares": lambda has: pb.ListSharesRequest(job=f"jobs/{has.done}"),
    "DeleteShare": lambda has: pb.DeleteShareRequest(name=f"jobs/{has.done}/shares/{has.share}"),
    "DeleteJob": lambda has: pb.DeleteJobRequest(name=f"jobs/{has.done}"),
    "ListResults": lambda has: pb.ListResultsRequest(job=f"jobs/{has.done}"),
    "DownloadResult": lambda has: pb.DownloadResultRequest(name=result_name(has)),
}
OPEN: dict[str, Callable[[Alices], Any]] = {
    "ListModels": lambda has: pb.ListModelsRequest(),
    "GetModel": lambda has: pb.GetModelRequest(name="models/bright"),
    "CreateUpload": lambda has: pb.CreateUploadRequest(file_name="a.tif", size_bytes=3),
    "ListJobs": lambda has: pb.ListJobsRequest(),
    "ListDeadLetters": lambda has: pb.ListDeadLettersRequest(),
}
OF_SHARES = {"CreateShare", "DeleteShare"}
OF_JOBS = {"Segment", "ExtendJob", *OF_SHARES, "Track", "CancelJob", "RedriveJob", "DeleteJob"}
WRITING = {"WriteUpload", "DeleteUpload", *OF_JOBS}


async def status(stub: pb_grpc.KioskStub, method: str, request: Any, bearer: str = "") -> Any:
    """The status of a call and its sentence."""
    metadata = (("authorization", bearer),) if bearer else ()
    call = getattr(stub, method)(request, metadata=metadata)
    try:
        if method in ("WatchJob", "DownloadResult"):
            async for _ in call:
                pass
        else:
            await call
    except grpc.aio.AioRpcError as error:
        return error.code(), error.details()
    return grpc.StatusCode.OK, ""


# ---------------------------------------------------------------- HTTP

TUS = {"Tus-Resumable": "1.0.0"}
PIECE = {**TUS, "Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}
NEW = {**TUS, "Upload-Length": "3", "Upload-Metadata": "filename YS50aWY="}
UNTIL = {"expire_time": wire.rfc3339(round(time.time() + 3600.0))}
# (method, route) -> path and what goes with it. `{done}` and so on are ids of alice's.
Route = tuple[str, str]
TILE = "/image/{level}/{t}/{z}/{c}/{row}/{column}"
LABEL_TILE = "/labels/{level}/{t}/{z}/{row}/{column}"
NAMING_ROUTES: dict[Route, tuple[str, dict[str, Any]]] = {
    ("HEAD", "/uploads/{id}"): ("/uploads/{begun}", {"headers": TUS}),
    ("PATCH", "/uploads/{id}"): ("/uploads/{begun}", {"headers": PIECE, "data": b"1234567890"}),
    ("DELETE", "/uploads/{id}"): ("/uploads/{begun}", {"headers": TUS}),
    ("POST", "/uploads/{id}"): (
        "/uploads/{begun}",
        {"headers": {**TUS, "X-HTTP-Method-Override": "DELETE"}},
    ),
    ("GET", "/uploads/{id}/images"): ("/uploads/{upload}/images", {}),
    ("POST", "/jobs"): ("/jobs", {"json": {"upload": "{upload}", "model": "bright"}}),
    ("GET", "/jobs/{id}"): ("/jobs/{done}", {}),
    ("DELETE", "/jobs/{id}"): ("/jobs/{done}", {}),
    ("POST", "/jobs/{id}/cancel"): ("/jobs/{open}/cancel", {}),
    ("POST", "/jobs/{id}/redrive"): ("/jobs/{stopped}/redrive", {}),
    ("GET", "/jobs/{id}/events"): ("/jobs/{done}/events", {}),
    ("POST", "/jobs/{id}/extend"): ("/jobs/{done}/extend", {"json": UNTIL}),
    ("POST", "/jobs/{id}/shares"): ("/jobs/{done}/shares", {"json": UNTIL}),
    ("GET", "/jobs/{id}/shares"): ("/jobs/{done}/shares", {}),
    ("DELETE", "/jobs/{id}/shares/{share}"): ("/jobs/{done}/shares/{share}", {}),
    ("GET", "/jobs/{id}/results"): ("/jobs/{done}/results", {}),
    ("GET", "/jobs/{id}/results.zip"): ("/jobs/{done}/results.zip", {}),
    ("GET", "/jobs/{id}/results/{file}"): ("/jobs/{done}/results/cells_tracks.csv", {}),
    ("GET", "/jobs/{id}/instances"): ("/jobs/{done}/instances", {}),
    ("GET", "/jobs/{id}/statistics"): ("/jobs/{done}/statistics", {}),
    ("GET", "/jobs/{id}/lineage"): ("/jobs/{done}/lineage", {}),
    ("GET", "/jobs/{id}/tracks"): ("/jobs/{done}/tracks", {}),
    ("GET", "/jobs/{id}/comparison"): ("/jobs/{done}/comparison?with=jobs/{done}", {}),
    ("GET", "/jobs/{id}/image"): ("/jobs/{done}/image", {}),
    ("GET", f"/jobs/{{id}}{TILE}"): ("/jobs/{done}/image/0/0/0/0/0/0", {}),
    ("GET", f"/jobs/{{id}}{LABEL_TILE}"): ("/jobs/{done}/labels/0/0/0/0/0", {}),
    ("GET", "/uploads/{id}/image"): ("/uploads/{upload}/image", {}),
    ("GET", f"/uploads/{{id}}{TILE}"): ("/uploads/{upload}/image/0/0/0/0/0/0", {}),
    ("GET", f"/uploads/{{id}}{LABEL_TILE}"): ("/uploads/{upload}/labels/0/0/0/0/0", {}),
}
OLD_HASH = {"hash": "{done}", "key": "status"}
NAMING_ROUTES |= {
    ("POST", "/api/predict"): (
        "/api/predict",
        {
            "json": {
                "jobType": "segmentation",
                "imageName": "cells.tif",
                "uploadedName": "uploads/{upload}.tif",
                "modelName": "bright",
            }
        },
    ),
    ("POST", "/api/status"): ("/api/status", {"json": OLD_HASH}),
    ("POST", "/api/redis"): ("/api/redis", {"json": OLD_HASH}),
    ("POST", "/api/redis/expire"): ("/api/redis/expire", {"json": OLD_HASH}),
    ("GET", "/api/output/{id}/{file}"): ("/api/output/{done}/cells.zip", {}),
}
FORM = {"Content-Type": "multipart/form-data; boundary=x"}
FILE = (
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.tif"\r\n\r\nabc\r\n--x--\r\n'
)
OPEN_ROUTES: dict[Route, tuple[str, dict[str, Any]]] = {
    ("POST", "/uploads"): ("/uploads", {"headers": NEW}),
    ("GET", "/models"): ("/models", {}),
    ("GET", "/jobs"): ("/jobs", {}),
    ("GET", "/dead-letters"): ("/dead-letters", {}),
    # Jobs of others are left out of the stream, like those that are not there.
    ("GET", "/events"): ("/events?job={done}", {}),
    ("POST", "/api/upload"): ("/api/upload", {"headers": FORM, "data": FILE}),
    ("GET", "/api/jobtypes"): ("/api/jobtypes", {}),
    ("GET", "/api/models"): ("/api/models", {}),
}
# What tells nothing of anybody: the page's files, result formats, whether the kiosk is well.
PUBLIC_ROUTES: set[Route] = {
    ("OPTIONS", "/uploads"),
    ("OPTIONS", "/uploads/{id}"),
    ("GET", "/formats"),
    ("GET", "/openapi.json"),
    ("GET", "/health"),
    ("GET", "/session"),
    ("GET", "/api/health-check"),
    ("POST", "/session"),
    ("DELETE", "/session"),
    ("GET", "//"),
    ("GET", "//jobs/{id}"),
    ("GET", "//compare"),
    ("GET", "//s/{token}"),
    *((method, "//open/{token}/image.ome.zarr/{path}") for method in ("GET", "HEAD", "OPTIONS")),
    ("GET", "//static/{name}"),
}
METRICS_ROUTE: Route = ("GET", "//metrics")


async def answered(
    web: TestClient, route: Route, path: str, options: dict[str, Any], has: Alices, who: str
) -> tuple[int, dict[str, Any]]:
    """Status and problem of a request."""

    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: filled(item) for key, item in value.items()}
        return value.format(**vars(has)) if isinstance(value, str) else value

    headers = {**options.get("headers", {}), "Authorization": has.bearer(who)}
    if not who:
        del headers["Authorization"]
    body = {key: filled(value) for key, value in options.items() if key != "headers"}
    address = filled(path) if path.startswith("/api/") else f"/api/v1{filled(path)}"
    answer = await web.request(route[0], address, headers=headers, **body)
    is_problem = answer.content_type == "application/problem+json" and route[0] != "HEAD"
    return answer.status, await answer.json() if is_problem else {}


@asynccontextmanager
async def grpc_of(alices: Alices) -> AsyncIterator[pb_grpc.KioskStub]:
    """The gRPC API of her kiosk."""
    server = GrpcServer(alices.fake.service, alices.door, "127.0.0.1", 0)
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield pb_grpc.KioskStub(channel)
    await server.stop(0)


@asynccontextmanager
async def web_of(alices: Alices, cookies: CookieJar | None = None) -> AsyncIterator[TestClient]:
    """The page and the HTTP API of her kiosk."""
    fake = alices.fake
    tiles = fake.tiles()
    app = make_app(fake.service, tiles, alices.door, CHECKOUT / "frontend")
    async with TestClient(TestServer(app), cookie_jar=cookies) as client:
        yield client
