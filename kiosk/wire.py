"""Between the domain and the wire: proto messages, JSON, and the one table of error codes."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any

import grpc
from google.protobuf import any_pb2, duration_pb2, json_format, struct_pb2, timestamp_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2

from kiosk._proto import kiosk_pb2 as pb
from kiosk.errors import (
    AlreadyExists,
    InvalidRequest,
    KioskError,
    LeaseLost,
    NotFound,
    Outage,
    Overloaded,
    PermanentError,
    PermissionDenied,
    ReaderFailed,
    TooLarge,
    TransientError,
    Unauthenticated,
    WrongState,
)
from kiosk.job_search import JobSearch
from kiosk.jobs import DeadLetter, Job, JobEvent, JobState, Priority, ResultFile, Upload
from kiosk.models import ModelCard
from kiosk.reading import InspectedImage, ReadOptions
from kiosk.request import Plane, Region, SegmentationRequest
from kiosk.share import Share
from kiosk.tracking_request import TrackingRequest

DOMAIN = "kiosk"
RETRY_AFTER_S = 5

# Error class -> (gRPC status, HTTP status); the most derived class that fits decides.
STATUS_OF_ERROR: dict[type[KioskError], tuple[grpc.StatusCode, int]] = {
    NotFound: (grpc.StatusCode.NOT_FOUND, 404),
    AlreadyExists: (grpc.StatusCode.ALREADY_EXISTS, 409),
    WrongState: (grpc.StatusCode.FAILED_PRECONDITION, 409),
    # A limit on one request; RESOURCE_EXHAUSTED would make clients try again.
    TooLarge: (grpc.StatusCode.INVALID_ARGUMENT, 413),
    InvalidRequest: (grpc.StatusCode.INVALID_ARGUMENT, 400),
    Unauthenticated: (grpc.StatusCode.UNAUTHENTICATED, 401),
    PermissionDenied: (grpc.StatusCode.PERMISSION_DENIED, 403),
    Overloaded: (grpc.StatusCode.RESOURCE_EXHAUSTED, 429),
    TransientError: (grpc.StatusCode.UNAVAILABLE, 503),
    Outage: (grpc.StatusCode.UNAVAILABLE, 503),
    # Most likely it is the image; a caller who tries the same again gets the same.
    ReaderFailed: (grpc.StatusCode.INVALID_ARGUMENT, 400),
    PermanentError: (grpc.StatusCode.INTERNAL, 500),
    LeaseLost: (grpc.StatusCode.ABORTED, 409),
    KioskError: (grpc.StatusCode.INTERNAL, 500),
}


def status_of(error: KioskError) -> tuple[grpc.StatusCode, int]:
    """(gRPC status, HTTP status) of an error."""
    for kind in type(error).__mro__:
        if kind in STATUS_OF_ERROR:
            return STATUS_OF_ERROR[kind]
    return STATUS_OF_ERROR[KioskError]


def rpc_status(error: KioskError) -> status_pb2.Status:
    """google.rpc.Status with ErrorInfo, and BadRequest or RetryInfo where they apply."""
    code = getattr(code_pb2, status_of(error)[0].name)
    details: list[Any] = [error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN)]
    if isinstance(error, InvalidRequest) and error.field:
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=error.field, description=error.message
        )
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    if isinstance(error, Overloaded | TransientError):
        delay = duration_pb2.Duration(seconds=RETRY_AFTER_S)
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    packed = []
    for detail in details:
        item = any_pb2.Any()
        item.Pack(detail)
        packed.append(item)
    return status_pb2.Status(code=code, message=error.message, details=packed)


def problem_json(error: KioskError) -> dict[str, Any]:
    """RFC 9457 problem details of an error."""
    status = status_of(error)[1]
    problem: dict[str, Any] = {
        "type": "about:blank",
        "title": error.reason.replace("_", " ").capitalize(),
        "status": status,
        "detail": error.message,
        "reason": error.reason,
    }
    if error.field:
        problem["errors"] = [{"field": error.field, "detail": error.message}]
    return problem


# ---------------------------------------------------------------------------- names


def id_of(name: str, collection: str) -> str:
    """The id in a resource name like `jobs/{id}`. Raises NotFound when it is not one."""
    prefix, _, rest = name.partition("/")
    if prefix != collection or not rest or "/" in rest:
        raise NotFound(
            f"'{name}' is not a name of the form '{collection}/...'.", reason="BAD_RESOURCE_NAME"
        )
    return rest


def result_of(name: str) -> tuple[str, str]:
    """(job id, file name) in `jobs/{id}/results/{file name}`. Raises NotFound."""
    parts = name.split("/")
    if len(parts) != 4 or parts[0] != "jobs" or parts[2] != "results":
        raise NotFound(
            f"'{name}' is not a name of the form 'jobs/.../results/...'.",
            reason="BAD_RESOURCE_NAME",
        )
    return parts[1], parts[3]


def share_of(name: str) -> tuple[str, str]:
    """(job id, share id) in `jobs/{id}/shares/{id}`. Raises NotFound."""
    parts = name.split("/")
    if len(parts) != 4 or parts[0] != "jobs" or parts[2] != "shares":
        raise NotFound(
            f"'{name}' is not a name of the form 'jobs/.../shares/...'.",
            reason="BAD_RESOURCE_NAME",
        )
    return parts[1], parts[3]


# ---------------------------------------------------------------------------- proto


def segmentation_from_proto(request: pb.SegmentRequest) -> SegmentationRequest:
    """What is asked for. Raises InvalidRequest."""
    return SegmentationRequest(
        channel=request.channel,
        postprocessing=dict(request.parameters),
        reading=reading_from_proto(request.reading),
        region=region_from_proto(request.region) if request.HasField("region") else None,
        volume=request.volume,
        formats=tuple(request.formats),
        within=id_of(request.within, "uploads") if request.within else "",
        plane=Plane(t=request.plane.t, z=request.plane.z) if request.HasField("plane") else None,
        preview=request.preview,
    )


def tracking_from_proto(request: pb.TrackRequest) -> TrackingRequest:
    """What is asked for. Raises InvalidRequest."""
    gap = request.longest_gap_frames if request.HasField("longest_gap_frames") else None
    return TrackingRequest(
        segmentation=SegmentationRequest(
            channel=request.channel,
            postprocessing=dict(request.parameters),
            reading=reading_from_proto(request.reading),
            formats=tuple(request.formats),
        ),
        labels=id_of(request.labels, "uploads") if request.labels else "",
        tracks=id_of(request.tracks, "uploads") if request.tracks else "",
        labels_are_tracks=request.labels_are_tracks,
        skip_bad_frames=request.skip_bad_frames,
        linker=request.linker,
        longest_gap_frames=gap,
        reach_px=request.reach_px,
        divisions=not request.no_divisions,
        correct_drift=not request.no_drift_correction,
        mend=not request.no_mending,
    )


def search_from_proto(request: pb.ListJobsRequest) -> JobSearch:
    """Which jobs are looked for. Raises InvalidRequest."""
    if request.state not in pb.JobState.values():
        raise InvalidRequest(f"There is no state {request.state}.", field="state")
    name = pb.JobState.Name(request.state).removeprefix("JOB_STATE_")
    state = None if name == "UNSPECIFIED" else JobState[name]
    return JobSearch(text=request.search, state=state, previews=request.previews)


def reading_from_proto(reading: pb.ReadOptions) -> ReadOptions:
    """How an upload is to be read. Raises InvalidRequest."""
    return ReadOptions(
        member=reading.member,
        series=reading.series,
        axes=reading.axes,
        pixel_size_um=reading.pixel_size_um,
        z_step_um=reading.z_step_um,
    )


def region_from_proto(region: pb.Region) -> Region:
    """Raises InvalidRequest for a rectangle that is none."""
    return Region(
        min_y_px=region.min_y_px,
        min_x_px=region.min_x_px,
        max_y_px=region.max_y_px,
        max_x_px=region.max_x_px,
    )


def model_to_proto(card: ModelCard) -> pb.Model:
    return pb.Model(
        name=f"models/{card.name}",
        display_name=card.display_name,
        description=card.description,
        versions=card.versions,
        pipeline=card.pipeline,
        channels=card.channels,
        accepts_rgb=card.accepts_rgb,
        min_object_diameter_px=card.object_diameter_px[0],
        max_object_diameter_px=card.object_diameter_px[1],
        default_parameters=dict(card.postprocessing),
        licence=card.licence,
        head=card.head,
        default_version=card.default_version,
        canary_version=card.rollout.canary if card.rollout else "",
        canary_ratio=card.rollout.canary_ratio if card.rollout else 0.0,
        parameters=[
            pb.Parameter(
                name=item.name,
                kind=item.kind,
                default_value=item.default,
                minimum=item.minimum,
                maximum=item.maximum,
                unit=item.unit,
                meaning=item.meaning,
            )
            for item in card.parameters
        ],
    )


def upload_to_proto(upload: Upload) -> pb.Upload:
    return pb.Upload(
        name=f"uploads/{upload.id}",
        file_name=upload.file_name,
        size_bytes=upload.size_bytes,
        offset_bytes=upload.offset_bytes,
        sha256=upload.sha256,
        complete=upload.complete,
        expire_time=_timestamp(upload.expire_time_s),
    )


def job_to_proto(job: Job) -> pb.Job:
    message = pb.Job(
        name=f"jobs/{job.id}",
        pipeline=job.pipeline,
        upload=f"uploads/{job.upload_id}",
        file_name=job.file_name,
        model=job.model,
        model_version=job.model_version,
        state=f"JOB_STATE_{job.state.name}",
        stage=job.stage.value,
        parts_done=job.parts_done,
        parts_total=job.parts_total,
        notes=job.notes,
        create_time=_timestamp(job.create_time_s),
        start_time=_timestamp(job.start_time_s),
        end_time=_timestamp(job.end_time_s),
        expire_time=_timestamp(job.expire_time_s),
        parameters=json_format.ParseDict(dict(job.parameters), struct_pb2.Struct()),
        owner=job.owner,
        priority=f"PRIORITY_{job.priority.name if job.priority else 'UNSPECIFIED'}",
        waiting_for=job.waiting_for,
    )
    if job.error:
        message.error.CopyFrom(pb.JobError(reason=job.error_reason, message=job.error))
    return message


def priority_from_proto(value: int) -> Priority | None:
    """None where the queue shall decide. Raises InvalidRequest for a number that is none."""
    if value not in pb.Priority.values():
        raise InvalidRequest(f"There is no priority {value}.", field="priority")
    name = pb.Priority.Name(value).removeprefix("PRIORITY_")
    return None if name == "UNSPECIFIED" else Priority[name]


def dead_letter_to_proto(letter: DeadLetter) -> pb.DeadLetter:
    return pb.DeadLetter(
        job=f"jobs/{letter.job_id}",
        file_name=letter.file_name,
        owner=letter.owner,
        kind=letter.kind.value,
        part_index=letter.part_index,
        attempts=letter.attempts,
        reason=letter.reason,
        time=_timestamp(letter.time_s),
    )


def image_to_proto(image: InspectedImage) -> pb.Image:
    sizes = image.sizes
    size_y_um, size_x_um = image.pixel_size_um or (0.0, 0.0)
    message = pb.Image(
        reading=pb.ReadOptions(**vars(image.reading)),
        title=image.title,
        format=image.format,
        size_t=sizes.get("t", 0),
        size_c=sizes.get("c", 0),
        size_z=sizes.get("z", 0),
        size_y=sizes.get("y", 0),
        size_x=sizes.get("x", 0),
        axes=image.axes,
        dtype=image.dtype,
        is_rgb=image.is_rgb,
        channel_names=image.channel_names,
        pixel_size_y_um=size_y_um,
        pixel_size_x_um=size_x_um,
        z_step_um=image.z_step_um or 0.0,
        frame_interval_s=image.frame_interval_s or 0.0,
        resolutions=[f"{height}x{width}" for height, width in image.levels],
        notes=image.notes,
        thumbnail=image.thumbnail,
    )
    if image.error is not None:
        message.error.CopyFrom(pb.JobError(reason=image.error.reason, message=image.error.message))
    return message


def event_to_proto(event: JobEvent) -> pb.JobEvent:
    return pb.JobEvent(id=event.id, job=job_to_proto(event.job))


def result_to_proto(result: ResultFile) -> pb.Result:
    return pb.Result(
        name=f"jobs/{result.job_id}/results/{result.file_name}",
        file_name=result.file_name,
        size_bytes=result.size_bytes,
        media_type=result.media_type,
        description=result.description,
        opens_with=result.opens_with,
    )


def share_to_proto(share: Share, token: str = "", url: str = "", zarr_url: str = "") -> pb.Share:
    return pb.Share(
        name=f"jobs/{share.job_id}/shares/{share.id}",
        token=token,
        url=url,
        zarr_url=zarr_url,
        creator=share.creator,
        create_time=_timestamp(share.create_time_s),
        expire_time=_timestamp(share.expire_time_s),
    )


def seconds(time: timestamp_pb2.Timestamp) -> float:
    """Unix seconds; 0 for a time that is not set."""
    return float(time.seconds + time.nanos / 1e9)


def _timestamp(time_s: float) -> timestamp_pb2.Timestamp | None:
    if not time_s:
        return None
    return timestamp_pb2.Timestamp(seconds=int(time_s), nanos=int(time_s % 1 * 1e9))


# ---------------------------------------------------------------------------- JSON


def model_to_json(card: ModelCard) -> dict[str, Any]:
    return _json(model_to_proto(card))


def upload_to_json(upload: Upload) -> dict[str, Any]:
    return _json(upload_to_proto(upload))


def job_to_json(job: Job) -> dict[str, Any]:
    """The proto message as JSON, with the bare id and the state in lower case beside it."""
    return {**_json(job_to_proto(job)), "id": job.id, "state": job.state.value}


def dead_letter_to_json(letter: DeadLetter) -> dict[str, Any]:
    return _json(dead_letter_to_proto(letter))


def image_to_json(image: InspectedImage) -> dict[str, Any]:
    """The proto message as JSON; the thumbnail is base64."""
    return _json(image_to_proto(image))


def result_to_json(result: ResultFile) -> dict[str, Any]:
    return _json(result_to_proto(result))


def _json(message: Any) -> dict[str, Any]:
    # 64-bit numbers become text in proto JSON; sizes are safe as numbers in every browser.
    data = json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    for key in ("size_bytes", "offset_bytes"):
        if key in data:
            data[key] = int(data[key])
    return data


def share_to_json(
    share: Share, token: str = "", url: str = "", zarr_url: str = ""
) -> dict[str, Any]:
    """The proto message as JSON, with the bare id beside it."""
    return {**_json(share_to_proto(share, token, url, zarr_url)), "id": share.id}


def http_date(time_s: float) -> str:
    return formatdate(time_s, usegmt=True)


def rfc3339(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, UTC).isoformat()
