"""The metrics of the kiosk. All names are listed here, once; docs/monitoring.md explains them.

Labels have few values: never an id, a file name or an owner. What Triton does on the GPU, it says
itself (`nv_...`).
"""

from __future__ import annotations

from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

from prometheus_client import REGISTRY, Counter, Gauge, Histogram, Info

QUICK_S = (0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30)
PART_S = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300)
JOB_S = (0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000, 10_000, 30_000)

# ---------------------------------------------------------------------- jobs, where they end

JOBS_ACCEPTED = Counter("kiosk_jobs_accepted", "Jobs accepted.", ["pipeline"])
JOBS = Counter("kiosk_jobs", "Jobs that have ended.", ["pipeline", "outcome"])
JOB_SECONDS = Histogram(
    "kiosk_job_duration_seconds",
    "Time from submitting to success of a job.",
    ["pipeline"],
    buckets=JOB_S,
)
STAGE_SECONDS = Histogram(
    "kiosk_job_stage_duration_seconds",
    "Time that a job that has succeeded was in a stage: waiting, planning, parts, joining.",
    ["stage"],
    buckets=JOB_S,
)
PIXELS = Counter(
    "kiosk_pixels_done", "Pixels of images that were worked on.", ["pipeline", "model"]
)

# ---------------------------------------------------------------------- parts, in consumers

PARTS = Counter("kiosk_parts", "Parts ended by this process.", ["kind", "outcome"])
PART_SECONDS = Histogram(
    "kiosk_part_duration_seconds",
    "Time from lease to outcome of a part.",
    ["kind"],
    buckets=PART_S,
)
STEP_SECONDS = Histogram(
    "kiosk_part_step_duration_seconds",
    "Time of a step: plan, read, inference, instances, detections, write, join.",
    ["step"],
    buckets=PART_S,
)
SLOTS = Gauge("kiosk_consumer_slots", "Parts that this consumer does at a time.")
PARTS_IN_HAND = Gauge("kiosk_consumer_parts_in_hand", "Parts that this consumer is doing.")
OUTAGES = Gauge(
    "kiosk_consumer_outage",
    "1 while this consumer takes no part because something is away, by its reason.",
    ["reason"],
)

# ---------------------------------------------------------------------- outside systems

TRITON_REQUESTS = Counter(
    "kiosk_triton_requests", "Requests to models.", ["model", "version", "code"]
)
TRITON_SECONDS = Histogram(
    "kiosk_triton_request_duration_seconds",
    "Time until Triton has answered a request to a model.",
    ["model", "version"],
    buckets=QUICK_S,
)
STORE_REQUESTS = Counter(
    "kiosk_store_requests", "Requests to the object store.", ["operation", "outcome"]
)
REDIS_ERRORS = Counter("kiosk_redis_errors", "Steps that Redis did not answer, or refused.")

# ---------------------------------------------------------------------- calls, in servers

UPLOAD_BYTES = Counter("kiosk_upload_bytes", "Bytes received in uploads.")
GRPC_REQUESTS = Counter("kiosk_grpc_requests", "Calls of the gRPC API.", ["method", "code"])
GRPC_SECONDS = Histogram(
    "kiosk_grpc_request_duration_seconds",
    "Time of calls of the gRPC API that have one answer.",
    ["method"],
    buckets=QUICK_S,
)
HTTP_REQUESTS = Counter(
    "kiosk_http_requests", "Requests to the web port.", ["route", "method", "code"]
)
HTTP_SECONDS = Histogram(
    "kiosk_http_request_duration_seconds",
    "Time of requests to the web port whose answer is not a stream.",
    ["route"],
    buckets=QUICK_S,
)

# ---------------------------------------------------------------------- the autoscaler

REPLICAS = Gauge(
    "kiosk_autoscaler_replicas", "Replicas of a role: desired or ready.", ["role", "state"]
)
WANTED_UNITS = Gauge(
    "kiosk_autoscaler_wanted_units", "Replicas of Triton, with their consumers, that are wanted."
)
WORK_SECONDS = Gauge(
    "kiosk_autoscaler_work_seconds", "Time that one unit would take for the backlog."
)
STARTUP_SECONDS = Gauge(
    "kiosk_autoscaler_startup_seconds",
    "Time from asking for replicas of Triton until they are ready, measured; at first the setting.",
)
DECISIONS = Counter(
    "kiosk_autoscaler_decisions",
    "Decisions: changed, kept, held (something could not be seen), conflict, failed.",
    ["outcome"],
)
LEADER = Gauge("kiosk_autoscaler_leader", "1 while this autoscaler leads.")

# ---------------------------------------------------------------------- the process, the queue

BUILD = Info("kiosk_build", "Version and role of this process.")

QUEUE_GAUGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "kiosk_queue_up": ("1 when Redis has answered.", ()),
    "kiosk_queue_backlog_parts": ("Parts waiting or being done.", ()),
    "kiosk_queue_backlog_jobs": ("Jobs that are not final.", ()),
    "kiosk_queue_backlog_leased": ("Parts that consumers hold.", ()),
    "kiosk_queue_oldest_seconds": ("Age of the oldest job of those next in line; 0: none.", ()),
    "kiosk_queue_backlog_px": ("Pixels of open jobs to be done.", ("model", "version")),
    "kiosk_model_slot_px_per_second": (
        "Pace that was measured: pixels that one slot of a consumer gets done per second.",
        ("model", "version"),
    ),
}
"""Name -> what it says, labels. Servers read them from the queue when somebody looks."""

OUTCOMES = ("succeeded", "failed", "given_up", "cancelled")
# What is not there yet cannot grow: the first of its kind would be missed by `increase`.
for _pipeline in ("segmentation", "tracking"):
    for _outcome in OUTCOMES:
        JOBS.labels(_pipeline, _outcome)
for _kind in ("plan", "part", "join"):
    for _outcome in ("done", "failed", "retried", "postponed", "released", "lost", "hung"):
        PARTS.labels(_kind, _outcome)


def software_version() -> str:
    """The version of the kiosk that runs; "0" for one that was not installed."""
    try:
        return version("cell-kiosk")
    except PackageNotFoundError:
        return "0"


# Gauges without labels are there from the start, as 0. In another role that would say something.
_OF_ROLES = {
    "consumer": (SLOTS, PARTS_IN_HAND),
    "autoscaler": (WANTED_UNITS, WORK_SECONDS, STARTUP_SECONDS, LEADER),
}


def tell_role(role: str) -> None:
    """From now on the metrics say what this process is, and leave out what is only for others."""
    BUILD.info({"version": software_version(), "role": role})
    for other, gauges in _OF_ROLES.items():
        for gauge in gauges:
            with suppress(KeyError):  # it was left out before
                if other != role:
                    REGISTRY.unregister(gauge)
