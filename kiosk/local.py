"""`kiosk up`: everything on this machine, as child processes of one supervisor.

Redis, Triton, the server and the consumers start in this order, each when the one before it
can be used, and stop in the reverse order. One that dies is started again. Nothing is left
behind when the supervisor goes, even when it is killed: the kernel then tells the children.
"""

from __future__ import annotations

import fcntl
import hashlib
import http.client
import os
import secrets
import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import tritonclient.grpc as triton_client
from grpc_health.v1 import health_pb2, health_pb2_grpc

from kiosk.connection import TLS_SCHEME
from kiosk.errors import PermanentError
from kiosk.exposure import check_exposure, is_loopback
from kiosk.local_metrics import PROMETHEUS_FILE, write_prometheus_config
from kiosk.local_redis import redis_password, redis_spec, redis_url
from kiosk.machine import (
    RunningKiosk,
    ServerFiles,
    find_redis_server,
    free_ports,
    port_is_free,
    process_is_alive,
    running,
    server_files,
    write_running,
)
from kiosk.model_watch import watching
from kiosk.processes import POLL_S, Child, ChildSpec, Say, Supervisor
from kiosk.settings import Settings, child_environment
from kiosk.triton_secret import TritonSecret, restriction

__all__ = ["Addresses", "RunningKiosk", "running", "up"]

NO_PROXY = [("grpc.enable_http_proxy", 0)]
"""gRPC would send even loopback calls to the proxy of an institute."""
LEFTOVERS_S = 30.0
"""Longest wait for the children of a killed supervisor to end."""


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """Where everything listens; the same for as long as the supervisor lives.

    Attributes:
        metrics_ports: of Triton, the server and the consumers, by their names as children.
    """

    host: str
    web_port: int
    grpc_port: int
    redis_port: int
    triton_port: int
    redis_password: str
    triton_secret: str
    has_tls: bool
    metrics_ports: Mapping[str, int] = field(default_factory=dict)

    @property
    def local_host(self) -> str:
        """The host to reach our own server at."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        return f"[{host}]" if ":" in host else host

    @property
    def redis_url(self) -> str:
        return redis_url(self.redis_port, self.redis_password)

    @property
    def triton_address(self) -> str:
        return f"127.0.0.1:{self.triton_port}"

    @property
    def metrics_urls(self) -> dict[str, str]:
        """Where the metrics of each process are."""
        return {
            name: f"http://127.0.0.1:{port}/metrics" for name, port in self.metrics_ports.items()
        }

    @property
    def grpc_address(self) -> str:
        return f"{self.local_host}:{self.grpc_port}"

    @property
    def web_address(self) -> str:
        return f"{self.local_host}:{self.web_port}"

    @property
    def web_url(self) -> str:
        return f"{'https' if self.has_tls else 'http'}://{self.web_address}"


Roles = Callable[[Settings, Addresses], list[ChildSpec]]


def up(settings: Settings, roles: Roles | None = None, say: Say | None = None) -> int:
    """Run the kiosk until Ctrl-C or SIGTERM; to be called from the main thread.

    Args:
        roles: makes the children after Redis and Triton; by default the server and consumers.
        say: prints one line.

    Returns:
        0, the exit code of an ordered stop.

    Raises:
        PermanentError: it runs already, a port is taken, a server is missing or does not start.
    """
    say = say or print_line
    check_exposure(settings)
    home = settings.home.absolute()
    make_folders(home)
    with exclusive(home, say) as lock:
        files = server_files(settings.servers_dir)
        addresses = choose_addresses(settings)
        specs = [
            redis_spec(
                settings,
                addresses.redis_port,
                addresses.redis_password,
                find_redis_server(files.redis_server),
            ),
            triton_spec(settings, addresses, files),
            *(roles or kiosk_roles)(settings, addresses),
        ]
        children = [Child(spec, home / "logs", inherited_fds=[lock]) for spec in specs]
        supervisor = Supervisor(children, say)
        with supervisor.signals():
            try:
                if supervisor.start():
                    announce(home, addresses, say)
                    repository = settings.model_repository.absolute()
                    with (
                        triton(addresses.triton_address, addresses.triton_secret) as client,
                        watching(repository, client, shared_memory_prefix(home), say),
                    ):
                        supervisor.run()
            finally:
                for name in ("kiosk.json", PROMETHEUS_FILE):
                    (home / "run" / name).unlink(missing_ok=True)
                supervisor.stop()
                remove_shared_memory(shared_memory_prefix(home))
    say("Kiosk has stopped.")
    return 0


def print_line(text: str) -> None:
    """Print; a terminal that was closed meanwhile is no reason to leave children behind."""
    with suppress(OSError):
        print(text, flush=True)


def announce(home: Path, addresses: Addresses, say: Say) -> None:
    for name, reason in models_not_loaded(addresses.triton_address, addresses.triton_secret):
        say(f"Model '{name}' is not served: {reason}")
    kiosk = RunningKiosk(
        pid=os.getpid(),
        web_url=addresses.web_url,
        grpc_address=f"{TLS_SCHEME if addresses.has_tls else ''}{addresses.grpc_address}",
        redis_url=addresses.redis_url,
        triton_address=addresses.triton_address,
        triton_secret=addresses.triton_secret,
        metrics=addresses.metrics_urls,
    )
    write_running(home, kiosk)
    say(f"Kiosk is ready: web {kiosk.web_url}  gRPC {kiosk.grpc_address}")
    config = write_prometheus_config(home, addresses.metrics_ports)
    say(f"Metrics: {kiosk.metrics['server']}; of all: prometheus --config.file={config}")


def make_folders(home: Path) -> None:
    """The folders of a local kiosk, closed to other users. Raises PermanentError."""
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in ("redis", "triton", "logs", "run"):
            (home / name).mkdir(mode=0o700, exist_ok=True)
            (home / name).chmod(0o700)
    except OSError as error:
        raise PermanentError(
            f"The folder {home} cannot be used: {error.strerror}. Choose another with KIOSK_HOME."
        ) from error


@contextmanager
def exclusive(home: Path, say: Say) -> Iterator[int]:
    """Hold the lock of a home folder and yield its descriptor. Raises PermanentError.

    The children inherit the lock, so it is free only when the last of them has ended: two Redis
    servers never write the same files, not even after the supervisor was killed.
    """
    path = home / "run" / "lock"
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        deadline = time.monotonic() + LEFTOVERS_S
        waiting = False
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                refuse_if_running(home, path)
            if time.monotonic() > deadline:
                raise PermanentError(
                    f"Processes of an earlier kiosk still use {home}; end them and try again."
                )
            if not waiting:
                say("Waiting for the processes of an earlier kiosk to end")
            waiting = True
            time.sleep(POLL_S)
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        yield lock
    finally:
        os.close(lock)


def refuse_if_running(home: Path, lock: Path) -> None:
    """Raises PermanentError when a living supervisor holds the lock."""
    kiosk = running(home)
    if kiosk:
        raise PermanentError(
            f"A kiosk is already running: web {kiosk.web_url}, gRPC {kiosk.grpc_address}, process"
            f" {kiosk.pid}. Stop it first, or start another one with its own KIOSK_HOME and ports.",
            reason="ALREADY_RUNNING",
        )
    holder = lock.read_text()
    if holder.isdigit() and process_is_alive(int(holder)):
        raise PermanentError(
            f"A kiosk is already running; it is just starting or stopping (process {holder}).",
            reason="ALREADY_RUNNING",
        )


def choose_addresses(settings: Settings) -> Addresses:
    """Check the ports of the server and pick the others. Raises PermanentError."""
    host = settings.listen.host
    ports = {"web": settings.listen.web_port, "grpc": settings.listen.grpc_port}
    for name, port in ports.items():
        if port and not port_is_free(host, port):
            raise PermanentError(
                f"Port {port} is in use; choose another with --{name}-port"
                f" or KIOSK_LISTEN__{name.upper()}_PORT.",
                reason="PORT_IN_USE",
            )
    if ports["web"] and ports["web"] == ports["grpc"]:
        raise PermanentError("The web page and gRPC need two different ports.")
    watched = ["triton", "server", *consumer_names(settings)]
    web_port, grpc_port, redis_port, triton_port, *metrics_ports = free_ports(4 + len(watched))
    return Addresses(
        host=host,
        web_port=ports["web"] or web_port,
        grpc_port=ports["grpc"] or grpc_port,
        redis_port=redis_port,
        triton_port=triton_port,
        metrics_ports=dict(zip(watched, metrics_ports, strict=True)),
        redis_password=redis_password(settings.home.absolute() / "redis" / "password"),
        triton_secret=settings.triton.secret.get_secret_value() or secrets.token_urlsafe(32),
        has_tls=settings.listen.tls_cert_file is not None,
    )


def triton_spec(settings: Settings, addresses: Addresses, files: ServerFiles) -> ChildSpec:
    """Triton on loopback, without HTTP; a model that fails to load does not keep it down."""
    environment = child_environment(
        settings,
        LD_LIBRARY_PATH=":".join(files.library_path),
        PYTHONDONTWRITEBYTECODE="1",
    )
    environment["PATH"] = f"{files.python.parent}:{environment.get('PATH', '/usr/bin:/bin')}"
    for name in ("PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "LD_PRELOAD"):
        environment.pop(name, None)
    shared_memory = shared_memory_prefix(settings.home)
    return ChildSpec(
        name="triton",
        role="triton",
        argv=[
            str(files.triton),
            f"--model-repository={settings.model_repository.absolute()}",
            f"--backend-directory={files.backend_directory}",
            f"--backend-config=python,shm-region-prefix-name={shared_memory}",
            "--model-control-mode=explicit",
            "--load-model=*",
            "--exit-on-error=false",
            "--strict-readiness=true",
            "--exit-timeout-secs=5",
            "--grpc-address=127.0.0.1",
            f"--grpc-port={addresses.triton_port}",
            restriction(addresses.triton_secret),
            "--allow-http=false",
            *metrics_options(addresses.metrics_ports.get("triton")),
        ],
        environment=environment,
        cwd=settings.home.absolute() / "triton",
        ready=lambda: triton_is_live(addresses.triton_address),
        ready_timeout_s=180.0,
        prepare=lambda: remove_shared_memory(shared_memory),
    )


def metrics_options(port: int | None) -> list[str]:
    """Have Triton tell its metrics there; None = to nobody."""
    if port is None:
        return ["--allow-metrics=false"]
    return ["--metrics-address=127.0.0.1", f"--metrics-port={port}"]


def shared_memory_prefix(home: Path) -> str:
    """First letters of the names that the Triton of this home uses in shared memory."""
    return f"kiosk_{hashlib.sha256(str(home.absolute()).encode()).hexdigest()[:12]}_"


def remove_shared_memory(prefix: str, folder: Path = Path("/dev/shm")) -> None:
    """Free what a Triton of this home left in shared memory when it was killed, or did not stop in
    time; the lock makes it ours."""
    for file in folder.glob(f"{prefix}*"):
        file.unlink(missing_ok=True)


def triton(address: str, secret: str = "") -> triton_client.InferenceServerClient:
    """A client of our own Triton; to be closed. Health alone can be asked without the secret."""
    client = triton_client.InferenceServerClient(address, channel_args=NO_PROXY)
    client.register_plugin(TritonSecret(secret))
    return client


def triton_is_live(address: str) -> bool:
    """Triton opens its port when it has tried to load every model, so live means loaded."""
    try:
        with triton(address) as client:
            return bool(client.is_server_live(client_timeout=1.0))
    except triton_client.InferenceServerException:
        return False


def models_not_loaded(address: str, secret: str) -> list[tuple[str, str]]:
    """(name, reason) of the models in the repository that Triton could not load."""
    try:
        with triton(address, secret) as client:
            index = client.get_model_repository_index(client_timeout=5.0)
    except triton_client.InferenceServerException:  # it has just died and will be restarted
        return []
    return [(m.name, m.reason) for m in index.models if m.state != "READY"]


def server_is_ready(addresses: Addresses) -> bool:
    """The server answers on both of its ports."""
    try:
        if addresses.has_tls:
            return answers_with_tls(addresses)
        with grpc.insecure_channel(addresses.grpc_address, options=NO_PROXY) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=1.0)
        web = http.client.HTTPConnection(addresses.web_address, timeout=1.0)
        web.request("GET", "/")
        serving = health_pb2.HealthCheckResponse.SERVING
        return answer.status == serving and web.getresponse().status < 500
    except (grpc.RpcError, OSError, http.client.HTTPException):
        return False


def answers_with_tls(addresses: Addresses) -> bool:
    """As `server_is_ready`; whose certificate it is does not matter to the one who started it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    host = addresses.local_host.strip("[]")
    with socket.create_connection((host, addresses.grpc_port), timeout=1.0) as connection:
        context.wrap_socket(connection).close()
    web = http.client.HTTPSConnection(
        addresses.web_address,
        timeout=1.0,
        context=ssl._create_unverified_context(),
    )
    web.request("GET", "/")
    return web.getresponse().status < 500


def public_url(settings: Settings, addresses: Addresses) -> str:
    """Where people reach the page; "" where they do at an address that we do not know."""
    known = addresses.web_url if is_loopback(addresses.host) else ""
    return settings.listen.public_url or known


def kiosk_roles(settings: Settings, addresses: Addresses) -> list[ChildSpec]:
    """The server and the consumers, as commands of this very Python."""
    environment = child_environment(
        settings,
        KIOSK_QUEUE__REDIS_URL=addresses.redis_url,
        KIOSK_TRITON__ADDRESS=addresses.triton_address,
        KIOSK_TRITON__SECRET=addresses.triton_secret,
        KIOSK_OBJECT_STORE=settings.object_store_url,
        KIOSK_LISTEN__HOST=addresses.host,
        KIOSK_LISTEN__WEB_PORT=str(addresses.web_port),
        KIOSK_LISTEN__GRPC_PORT=str(addresses.grpc_port),
        KIOSK_LISTEN__PUBLIC_URL=public_url(settings, addresses),
        KIOSK_AUTH__INSECURE=str(settings.auth.insecure).lower(),
    )
    command = [sys.executable, "-m", "kiosk.cli"]

    def watched(name: str) -> dict[str, str]:
        """With a status port; on loopback, since it asks nobody who they are."""
        port = str(addresses.metrics_ports[name])
        return {**environment, "KIOSK_STATUS__HOST": "127.0.0.1", "KIOSK_STATUS__PORT": port}

    server = ChildSpec(
        name="server",
        role="server",
        argv=[*command, "server"],
        environment=watched("server"),
        ready=lambda: server_is_ready(addresses),
    )
    consumers = [
        ChildSpec(
            name=name,
            role="consumer",
            argv=[*command, "consumer"],
            environment=watched(name),
            grace_s=20.0,
        )
        for name in consumer_names(settings)
    ]
    return [server, *consumers]


def consumer_names(settings: Settings) -> list[str]:
    return [f"consumer-{number}" for number in range(1, settings.local.consumers + 1)]
