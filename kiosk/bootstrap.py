"""The composition root: the only place that picks implementations and joins them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import platform
import secrets
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import BinaryIO

from kiosk.adapters.decoder.decoding_files import DecodingImageFiles
from kiosk.adapters.kubernetes_api import connect, own_namespace
from kiosk.adapters.kubernetes_cluster import KubernetesCluster, KubernetesLeaderRecords
from kiosk.adapters.model_source import ObstoreModelSource
from kiosk.adapters.object_store import ObstoreObjectStore
from kiosk.adapters.oidc import OidcProvider
from kiosk.adapters.redis_keys import RedisKeyRing
from kiosk.adapters.redis_queue import RedisQueue
from kiosk.adapters.redis_rollouts import RedisRolloutBook
from kiosk.adapters.triton import TritonInference
from kiosk.allocator import keep_few_arenas
from kiosk.audit import configure_audit
from kiosk.authentication import Authentication, ClaimNames
from kiosk.autoscaler import Autoscaler
from kiosk.certificate import Certificate
from kiosk.conditions import autoscaler_condition, consumer_condition, server_condition
from kiosk.consumer import Consumer
from kiosk.disk_room import DiskRoom
from kiosk.errors import KioskError, PermanentError
from kiosk.exposure import check_exposure, is_loopback
from kiosk.folder_zip import zipped_folder
from kiosk.grpc_api import GrpcServer
from kiosk.inspection import inspect_file
from kiosk.leadership import Leadership
from kiosk.logs import configure_logging
from kiosk.model_control import ModelControl, Say
from kiosk.model_sync import ModelSync
from kiosk.pipelines.context import SegmentationOptions
from kiosk.ports import ImageFiles, InferenceClient, KeyRing, ObjectStore, Role
from kiosk.queue_gauges import QueueGauges
from kiosk.queue_policy import QueuePolicy
from kiosk.reading import InspectedImage, ReadOptions
from kiosk.remembered_models import RememberedModels
from kiosk.scaling import ScalingPolicy
from kiosk.schema_check import schema_checked
from kiosk.scratch import choose_scratch, sweep_scratch
from kiosk.service import KioskService
from kiosk.settings import Settings
from kiosk.shares import Shares
from kiosk.status_port import Condition, status_port
from kiosk.telemetry import tell_role
from kiosk.tiles import Tiles
from kiosk.tracing import configure_tracing, stop_tracing
from kiosk.uploads import Uploads
from kiosk.web import WebServer

log = logging.getLogger(__name__)

SERVER_GRACE_S = 5.0
# Longest time for the images of a file on this machine; those that are left are only listed.
INSPECT_PATIENCE_S = 60.0


def make_queue(settings: Settings) -> RedisQueue:
    policy = QueuePolicy(
        lease_s=settings.queue.lease_s,
        attempts=settings.queue.attempts,
        outages=settings.queue.outages,
        retry_delay_s=settings.queue.retry_delay_s,
        window_parts=settings.queue.window_parts,
        owner_parts=settings.queue.owner_parts,
        interactive_jobs=settings.queue.interactive_jobs,
        open_jobs=settings.limits.open_jobs,
        owner_open_jobs=settings.limits.owner_open_jobs,
        open_parts=settings.limits.open_parts,
        retention_s=settings.listen.retention_s,
        preview_s=settings.listen.preview_s,
    )
    return RedisQueue(settings.queue.redis_url.get_secret_value(), policy)


def make_inference(settings: Settings) -> TritonInference:
    triton = settings.triton
    return TritonInference(triton.address, triton.timeout_s, triton.secret.get_secret_value())


def known_models(
    settings: Settings, inference: TritonInference, store: ObjectStore
) -> InferenceClient:
    """The models of Triton, also while it is scaled to zero where that may be."""
    return RememberedModels(inference, store) if settings.triton.may_sleep else inference


def make_store(settings: Settings) -> ObstoreObjectStore:
    return ObstoreObjectStore(settings.object_store_url, settings.store.retry_s)


def make_disk_room(settings: Settings) -> DiskRoom:
    """The disks of temporary files, of stored objects and, in `kiosk up`, of Redis."""
    folders = [Path(tempfile.gettempdir()), settings.home]
    if "://" not in settings.object_store_url:
        folders.append(Path(settings.object_store_url))
    there = [folder for folder in folders if folder.is_dir()]
    return DiskRoom(there, settings.limits.free_disk_bytes)


def make_images(settings: Settings) -> DecodingImageFiles:
    """The reader of images for files that come from anybody."""
    return DecodingImageFiles(settings.limits, settings.decoding)


def local_files(settings: Settings) -> ImageFiles:
    """The reader of images for files on this machine, in the process of the one who owns them."""
    from kiosk.adapters.image_files import ImageFileReader  # servers do without

    return ImageFileReader(settings.limits)


def make_keys(settings: Settings) -> RedisKeyRing:
    return RedisKeyRing(settings.queue.redis_url.get_secret_value())


def make_rollouts(settings: Settings) -> RedisRolloutBook:
    return RedisRolloutBook(settings.queue.redis_url.get_secret_value())


@contextlib.asynccontextmanager
async def model_control(settings: Settings, say: Say) -> AsyncIterator[ModelControl]:
    """Rolling out models, over Triton and Redis themselves. Raises KioskError."""
    inference, book, queue = make_inference(settings), make_rollouts(settings), make_queue(settings)
    try:
        yield ModelControl(await inference.replicas(), book, queue, say)
    finally:
        await inference.close()
        await book.close()
        await queue.close()


def make_authentication(settings: Settings, keys: KeyRing, shares: Shares) -> Authentication:
    auth = settings.auth
    provider = None
    if auth.oidc_issuer:
        provider = OidcProvider(auth.oidc_issuer, auth.oidc_audience, auth.oidc_jwks_url)
    return Authentication(
        keys,
        provider,
        ClaimNames(
            owner=auth.oidc_owner_claim,
            admin=auth.oidc_admin_claim,
            admin_value=auth.oidc_admin_value,
        ),
        shares=shares,
        required=auth.required,
        memory_s=auth.memory_s,
        session_s=auth.session_s,
    )


def make_certificate(settings: Settings) -> Certificate | None:
    """The certificate of the server; None without TLS. Raises PermanentError."""
    listen = settings.listen
    if listen.tls_cert_file and listen.tls_key_file:
        return Certificate(listen.tls_cert_file, listen.tls_key_file)
    if not is_loopback(listen.host):
        log.warning(
            "TLS is off: keys and images can be read on their way unless a proxy in front has it"
        )
    return None


async def sync_models(
    settings: Settings, source: str, folder: Path, every_s: float, say: Say
) -> None:
    """`kiosk models sync`, see `ModelSync.run`; SIGTERM ends it. Raises KioskError."""
    found = ObstoreModelSource(source, settings.store.retry_s)
    await ModelSync(found, folder, say).run(every_s, _stop_on_signals())


def begin_role(settings: Settings, role: str) -> None:
    """What every role does first: how it logs, what it tells those who look at it."""
    keep_few_arenas()
    configure_logging(settings.log_level, settings.log_format, role)
    tell_role(role)
    configure_tracing(role, settings.tracing.endpoint, settings.tracing.sample_ratio)


async def run_server(settings: Settings) -> None:
    """The server role: gRPC API, web page and sweeping, until SIGTERM. Raises PermanentError."""
    begin_role(settings, "server")
    check_exposure(settings)
    configure_audit(settings.listen.audit_file)
    choose_scratch(settings.scratch_dir)
    stopping = _stop_on_signals()
    queue = make_queue(settings)
    async with schema_checked(queue.check_schema, stopping):
        await _serve(settings, queue, stopping)


async def _serve(settings: Settings, queue: RedisQueue, stopping: asyncio.Event) -> None:
    inference, store = make_inference(settings), make_store(settings)
    keys, rollouts = make_keys(settings), make_rollouts(settings)
    images = make_images(settings)
    shares = Shares(
        queue=queue,
        store=store,
        keys=keys,
        longest_s=settings.listen.longest_share_s,
        public_url=settings.listen.public_url,
    )
    room = make_disk_room(settings)
    uploads = _make_uploads(settings, store, room)
    known = known_models(settings, inference, store)
    service = KioskService(
        queue=queue,
        store=store,
        images=images,
        inference=known,
        rollouts=rollouts,
        uploads=uploads,
        shares=shares,
        job_px=settings.limits.job_px,
        frame_px=settings.limits.frame_px,
        longest_retention_s=settings.listen.longest_retention_s,
        room=room,
    )
    tiles = Tiles(queue=queue, store=store, images=images, uploads=uploads)
    await asyncio.to_thread(images.prepare)
    async with _looking_out(known):
        authentication = make_authentication(settings, keys, shares)
        await _listen(settings, service, tiles, authentication, stopping)
    for connection in (queue, keys, rollouts, inference):
        await connection.close()
    images.close()
    stop_tracing()


@contextlib.asynccontextmanager
async def _looking_out(models: InferenceClient) -> AsyncIterator[None]:
    """Where models are remembered, they are looked at also while nobody asks."""
    if not isinstance(models, RememberedModels):
        yield
        return
    lookout = asyncio.create_task(models.look_out())
    try:
        yield
    finally:
        lookout.cancel()


def _make_uploads(settings: Settings, store: ObstoreObjectStore, room: DiskRoom) -> Uploads:
    return Uploads(
        store,
        settings.limits.upload_bytes,
        settings.listen.retention_s,
        settings.image_urls,
        room,
    )


async def _listen(
    settings: Settings,
    service: KioskService,
    tiles: Tiles,
    authentication: Authentication,
    stopping: asyncio.Event,
) -> None:
    """Answer on all ports until told to stop; then say so, and let calls in hand end."""
    listen = settings.listen
    certificate = make_certificate(settings)
    grpc_server = _make_grpc_server(
        service, authentication, listen.host, listen.grpc_port, certificate
    )
    web_server = WebServer(
        service,
        tiles,
        authentication,
        settings.frontend,
        listen.host,
        listen.web_port,
        listen.public_url,
        certificate,
        listen.idle_s,
        listen.deepcell_models,
    )
    await grpc_server.start()
    await web_server.start()
    gauges = service.gauges

    async def condition() -> Condition:
        return await server_condition(gauges, is_draining=stopping.is_set())

    async with status_port(settings.status, "server", condition, gauges.exposition):
        log.info("serving gRPC on port %d and HTTP on port %d", grpc_server.port, web_server.port)
        sweeper = asyncio.create_task(_sweep(service, listen.sweep_s))
        await stopping.wait()
        sweeper.cancel()
        await asyncio.gather(grpc_server.stop(SERVER_GRACE_S), web_server.stop())


async def run_consumer(settings: Settings) -> bool:
    """The consumer role, until SIGTERM. Returns False when a hung part made it stop."""
    begin_role(settings, "consumer")
    choose_scratch(settings.scratch_dir)
    sweep_scratch()  # what the process before this one left when it was killed
    stopping = _stop_on_signals()
    queue = make_queue(settings)
    async with schema_checked(queue.check_schema, stopping):
        return await _consume(settings, queue, stopping)


async def _consume(settings: Settings, queue: RedisQueue, stopping: asyncio.Event) -> bool:
    inference, images = make_inference(settings), make_images(settings)
    await asyncio.to_thread(images.prepare)
    consumer = _make_consumer(settings, queue, inference, images)
    gauges = QueueGauges(queue)

    async def condition() -> Condition:
        return await consumer_condition(gauges, consumer)

    async with status_port(settings.status, "consumer", condition):
        running = asyncio.create_task(consumer.run())
        told = asyncio.create_task(stopping.wait())
        await asyncio.wait({running, told}, return_when=asyncio.FIRST_COMPLETED)
        consumer.stop()
        await running
    await queue.close()
    await inference.close()
    images.close()
    stop_tracing()
    return not consumer.has_hung_thread


def _make_consumer(
    settings: Settings, queue: RedisQueue, inference: TritonInference, images: DecodingImageFiles
) -> Consumer:
    store = make_store(settings)
    return Consumer(
        name=_process_name(),
        queue=queue,
        store=store,
        images=images,
        inference=known_models(settings, inference, store),
        options=SegmentationOptions(
            tiles_in_flight=settings.consumer.tiles_in_flight,
            block_px=settings.consumer.block_px,
            block_halo_px=settings.consumer.block_halo_px,
            job_px=settings.limits.job_px,
            table_bytes=settings.limits.table_bytes,
        ),
        parts_in_flight=settings.consumer.parts_in_flight,
        lease_s=settings.queue.lease_s,
        part_timeout_s=settings.consumer.part_timeout_s,
        join_part_timeout_s=settings.consumer.join_part_timeout_s,
        stop_grace_s=settings.consumer.stop_grace_s,
    )


def make_scaling_policy(settings: Settings) -> ScalingPolicy:
    """Raises InvalidRequest where limits contradict each other."""
    ours = settings.autoscaler.model_dump(include=set(ScalingPolicy.__dataclass_fields__))
    return ScalingPolicy(
        **ours,
        slots_per_consumer=settings.consumer.parts_in_flight,
        parts_per_job=settings.queue.window_parts,
    )


async def run_autoscaler(
    settings: Settings, *, dry_run: bool, once: bool, say: Callable[[str], None]
) -> None:
    """The autoscaler role, until SIGTERM. Raises PermanentError where it cannot begin.

    Args:
        dry_run: change nothing, nor take part in who leads; decisions go to `say`.
        once: one round instead of one every few seconds.
    """
    begin_role(settings, "autoscaler")
    stopping = _stop_on_signals()
    ours, policy = settings.autoscaler, make_scaling_policy(settings)
    api = await connect(ours.kubeconfig, ours.answer_s)
    namespace = ours.namespace or own_namespace()
    deployments = {
        Role.TRITON: ours.triton_deployment,
        Role.CONSUMERS: ours.consumer_deployment,
    }
    leadership = Leadership(
        KubernetesLeaderRecords(api, namespace, ours.lease_name),
        _process_name(),
        ours.lease_duration_s,
        time.monotonic,
        time.time,
    )
    queue = make_queue(settings)
    autoscaler = Autoscaler(
        queue=queue,
        cluster=KubernetesCluster(api, namespace, deployments),
        policy=policy,
        leadership=None if dry_run else leadership,
        poll_s=ours.poll_s,
        answer_s=ours.answer_s,
        monotonic=time.monotonic,
        dry_run=dry_run,
        tell=say if dry_run or once else log.info,
    )

    async def condition() -> Condition:
        return autoscaler_condition(is_stopping=stopping.is_set())

    try:
        async with (
            schema_checked(queue.check_schema, stopping),
            status_port(settings.status, "autoscaler", condition),
        ):
            await (autoscaler.run_once() if once else autoscaler.run(stopping))
    finally:
        await queue.close()
        await api.close()


def _process_name() -> str:
    """A restarted process must not pass for the one before it."""
    return f"{platform.node()}-{os.getpid()}-{secrets.token_hex(4)}"


def _make_grpc_server(
    service: KioskService,
    authentication: Authentication,
    host: str,
    port: int,
    certificate: Certificate | None,
) -> GrpcServer:
    try:
        return GrpcServer(service, authentication, host, port, certificate)
    except RuntimeError as error:
        raise PermanentError(
            f"Port {port} is in use. Choose another with --grpc-port or KIOSK_LISTEN__GRPC_PORT."
        ) from error


async def _sweep(service: KioskService, every_s: float) -> None:
    while True:
        try:
            await service.sweep()
            await asyncio.to_thread(sweep_scratch)
        except KioskError as error:
            log.warning("sweeping: %s", error)
        except Exception:
            log.exception("sweeping")
        await asyncio.sleep(every_s)


def _stop_on_signals() -> asyncio.Event:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    return stopping


def inspect_local(
    settings: Settings, path: Path, reading: ReadOptions, *, thumbnail_px: int = 0
) -> list[InspectedImage]:
    """What the kiosk sees in a file of this machine. Raises InvalidRequest."""
    files = local_files(settings)

    def opened() -> BinaryIO:
        return stack.enter_context(zipped_folder(path)) if path.is_dir() else path.open("rb")

    with contextlib.ExitStack() as stack:
        return inspect_file(
            files,
            opened,
            path.name,
            reading,
            thumbnail_px=thumbnail_px,
            patience_s=INSPECT_PATIENCE_S,
        )
