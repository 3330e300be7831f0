"""What can be asked of the HTTP API: the table of its operations, from which its document is made.

A test holds it to the routes of the application, and another one asks all of them at random.
"""

from __future__ import annotations

from kiosk.jobs import JobState
from kiosk.web.answers import API, CHECKSUM_MISMATCH_STATUS, TUS_VERSION, UPLOADS
from kiosk.web.jobs import JobRequest
from kiosk.web.message_schemas import REF
from kiosk.web.operation import (
    JSON,
    Answer,
    Operation,
    Parameter,
    Schema,
    bytes_answer,
    json_answer,
    list_of,
)
from kiosk.web.pace import OFFSET_STREAM

_NUMBER: Schema = {"type": "integer", "minimum": 0, "maximum": 10**9 - 1}
_POSITIVE: Schema = {"type": "number", "minimum": 0, "exclusiveMaximum": 2**31}
_TEXT: Schema = {"type": "string"}
_FLAG: Schema = {"type": "string", "enum": ["true", "false"]}
_ID = Parameter(name="id", place="path", is_required=True, description="Of the job or upload.")
_INDEX = Parameter(name="index", place="path", is_required=True, schema=_NUMBER)
_FILE = Parameter(name="file", place="path", is_required=True, description="Name of a result.")
_ALL_OWNERS = Parameter(name="all_owners", schema=_FLAG, description="Of everybody; for admins.")
_TUS = Parameter(
    name="Tus-Resumable", place="header", is_required=True, schema={"const": TUS_VERSION}
)
_BYTES: Schema = {"type": "integer", "minimum": 0, "maximum": 10**18 - 1}
_LENGTH = Parameter(name="Upload-Length", place="header", schema=_BYTES)
_PROGRESS = ("Upload-Offset", "Upload-Expires", "Tus-Resumable")
_JOB = Answer(description="The job.", media_type=JSON, schema={"$ref": REF + "Job"})
_DONE = Answer(description="Done.")
_JOB_AT = API + "/jobs/{id}"
_UPLOAD_AT = UPLOADS + "/{id}"
_PLANE_AT = _JOB_AT + "/planes/{index}"

_READING = (
    Parameter(name="member", description="Path of the image inside a zip."),
    Parameter(name="series", schema=_POSITIVE, description="Number of the image, from 0."),
    Parameter(name="axes", description="Of the file, slowest first: letters of TCZYXS."),
    Parameter(name="pixel_size_um", schema=_POSITIVE),
    Parameter(name="z_step_um", schema=_POSITIVE),
    Parameter(name="thumbnail_px", schema=_POSITIVE, description="Longest side; 0 = none."),
    Parameter(name="list_only", schema=_POSITIVE, description="1: images are not opened."),
)

UPLOAD_OPERATIONS = (
    Operation(
        method="post",
        path=UPLOADS,
        id="createUpload",
        summary="Begin an upload (tus), with its first bytes if you like.",
        parameters=(
            _TUS,
            _LENGTH,
            Parameter(name="Upload-Defer-Length", place="header", schema={"const": "1"}),
            Parameter(
                name="Upload-Metadata",
                place="header",
                description="`filename` and `sha256` of the whole file, values in base64.",
            ),
        ),
        body=OFFSET_STREAM,
        needs_body=False,
        answers={201: Answer(description="Begun.", headers=("Location", *_PROGRESS))},
        errors=(412, CHECKSUM_MISMATCH_STATUS),
    ),
    Operation(
        method="head",
        path=_UPLOAD_AT,
        id="getUpload",
        summary="How much of an upload has arrived (tus).",
        parameters=(_ID, _TUS),
        answers={200: Answer(description="So much.", headers=("Upload-Length", *_PROGRESS))},
        errors=(412,),
    ),
    Operation(
        method="patch",
        path=_UPLOAD_AT,
        id="appendToUpload",
        summary="Send more bytes of an upload (tus).",
        parameters=(
            _ID,
            _TUS,
            Parameter(name="Upload-Offset", place="header", is_required=True, schema=_BYTES),
            _LENGTH,
        ),
        body=OFFSET_STREAM,
        answers={204: Answer(description="Arrived.", headers=_PROGRESS)},
        errors=(409, 412, CHECKSUM_MISMATCH_STATUS),
    ),
    Operation(
        method="post",
        path=_UPLOAD_AT,
        id="overrideMethod",
        summary="PATCH or DELETE by X-HTTP-Method-Override, where a proxy lets only POST through.",
        parameters=(
            _ID,
            _TUS,
            Parameter(
                name="X-HTTP-Method-Override",
                place="header",
                is_required=True,
                schema={"enum": ["PATCH", "DELETE"]},
            ),
            Parameter(name="Upload-Offset", place="header", schema=_BYTES),
        ),
        body=OFFSET_STREAM,
        needs_body=False,
        answers={204: Answer(description="Done.")},
        errors=(405, 409, 412, CHECKSUM_MISMATCH_STATUS),
    ),
    Operation(
        method="delete",
        path=_UPLOAD_AT,
        id="deleteUpload",
        summary="Give an upload up (tus).",
        parameters=(_ID, _TUS),
        answers={204: _DONE},
        errors=(412,),
    ),
    Operation(
        method="get",
        path=_UPLOAD_AT + "/images",
        id="inspectUpload",
        summary="What the kiosk sees in an upload: images, axes, channels, sizes, thumbnails.",
        parameters=(_ID, *_READING),
        answers={200: json_answer("The images.", images=list_of("Image"))},
        errors=(409,),
    ),
)

JOB_OPERATIONS = (
    Operation(
        method="post",
        path=f"{API}/jobs",
        id="submitJob",
        summary="Segment the image of an upload, or follow its cells through time.",
        body=JobRequest,
        answers={
            202: Answer(
                description="Accepted.",
                media_type=JSON,
                schema={"$ref": REF + "Job"},
                headers=("Location",),
            )
        },
        errors=(404, 409),
    ),
    Operation(
        method="get",
        path=f"{API}/jobs",
        id="listJobs",
        summary="Jobs, newest first.",
        parameters=(
            Parameter(name="page_size", schema=_NUMBER),
            Parameter(name="page_token", description="`next_page_token` of the page before."),
            _ALL_OWNERS,
        ),
        answers={200: json_answer("A page.", jobs=list_of("Job"), next_page_token=_TEXT)},
    ),
    Operation(
        method="get",
        path=_JOB_AT,
        id="getJob",
        summary="A job as it stands.",
        parameters=(_ID,),
        answers={200: _JOB},
    ),
    Operation(
        method="delete",
        path=_JOB_AT,
        id="deleteJob",
        summary="Delete a finished job with its results.",
        parameters=(_ID,),
        answers={204: _DONE},
        errors=(409,),
    ),
    Operation(
        method="post",
        path=_JOB_AT + "/cancel",
        id="cancelJob",
        summary="Stop a job.",
        parameters=(_ID,),
        answers={200: _JOB},
    ),
    Operation(
        method="post",
        path=_JOB_AT + "/redrive",
        id="redriveJob",
        summary="Begin a job anew that was given up.",
        parameters=(_ID,),
        answers={200: _JOB},
        errors=(409,),
    ),
    Operation(
        method="get",
        path=f"{API}/dead-letters",
        id="listDeadLetters",
        summary="Parts of jobs that were given up, with the reasons.",
        parameters=(_ALL_OWNERS,),
        answers={200: json_answer("The parts.", dead_letters=list_of("DeadLetter"))},
    ),
)

EVENT_OPERATIONS = (
    Operation(
        method="get",
        path=_JOB_AT + "/events",
        id="watchJob",
        summary="Server-sent events of a job, until it ends.",
        parameters=(
            _ID,
            Parameter(name="Last-Event-ID", place="header", description="Go on after this one."),
        ),
        answers={200: bytes_answer("Events, each with the job as it stands.", "text/event-stream")},
    ),
    Operation(
        method="get",
        path=f"{API}/events",
        id="watchJobs",
        summary="Server-sent events of up to 16 jobs on one connection.",
        parameters=(
            Parameter(
                name="job",
                is_required=True,
                schema={"type": "array", "items": {"type": "string"}, "minItems": 1},
            ),
        ),
        answers={200: bytes_answer("Events, each with a job as it stands.", "text/event-stream")},
    ),
)

RESULT_OPERATIONS = (
    Operation(
        method="get",
        path=_JOB_AT + "/results",
        id="listResults",
        summary="The files that a job has produced.",
        parameters=(_ID,),
        answers={200: json_answer("The files.", results=list_of("Result"))},
        errors=(409,),
    ),
    Operation(
        method="get",
        path=_JOB_AT + "/results/{file}",
        id="downloadResult",
        summary="A file, or a range of it.",
        parameters=(
            _ID,
            _FILE,
            Parameter(name="Range", place="header"),
            Parameter(name="If-Range", place="header"),
        ),
        answers={
            200: bytes_answer("The file.", "*/*", ("ETag", "Content-Disposition")),
            206: bytes_answer("The range.", "*/*", ("Content-Range",)),
        },
        errors=(409, 416),
    ),
    Operation(
        method="get",
        path=_JOB_AT + "/results.zip",
        id="downloadResults",
        summary="All files as one zip.",
        parameters=(_ID,),
        answers={200: bytes_answer("The zip.", "application/zip")},
        errors=(409,),
    ),
    Operation(
        method="get",
        path=_JOB_AT + "/planes",
        id="listPlanes",
        summary="What there is to look at.",
        parameters=(_ID,),
        answers={
            200: json_answer(
                "The planes.",
                width_px=_NUMBER,
                height_px=_NUMBER,
                picture_width_px=_NUMBER,
                picture_height_px=_NUMBER,
                channels={"type": "array", "items": {"type": "string"}},
                pixel_size_um={"type": ["array", "null"], "items": {"type": "number"}},
                has_labels={"type": "boolean"},
                planes={
                    "type": "array",
                    "items": {"type": "object", "required": ["index", "t", "z"]},
                },
            )
        },
    ),
    Operation(
        method="get",
        path=_PLANE_AT + "/picture.png",
        id="getPicture",
        summary="A plane of the image.",
        parameters=(_ID, _INDEX),
        answers={200: bytes_answer("The picture.", "image/png")},
    ),
    Operation(
        method="get",
        path=_PLANE_AT + "/labels",
        id="getLabels",
        summary="The labels of a plane: little-endian uint32, packed by gzip.",
        parameters=(_ID, _INDEX),
        answers={200: bytes_answer("Labels.", "application/octet-stream", ("X-Width", "X-Height"))},
        errors=(409,),
    ),
)
OTHER_OPERATIONS = (
    Operation(
        method="get",
        path=f"{API}/models",
        id="listModels",
        summary="The models, each with its parameters.",
        answers={200: json_answer("The models.", models=list_of("Model"))},
    ),
    Operation(
        method="get",
        path=f"{API}/formats",
        id="listFormats",
        summary="The formats of results.",
        answers={200: json_answer("The formats.", formats={"type": "array"})},
    ),
    Operation(
        method="get",
        path=f"{API}/health",
        id="getHealth",
        summary="Whether the kiosk is well; for who is known, also how much there is to do.",
        answers={200: json_answer("It is.", status={"const": "ok"})},
    ),
    Operation(
        method="get",
        path=f"{API}/openapi.json",
        id="getOpenApi",
        summary="This document.",
        answers={
            200: json_answer("The document.", openapi=_TEXT, info={}, paths={}, components={})
        },
    ),
    Operation(
        method="get",
        path="/metrics",
        id="getMetrics",
        summary="Prometheus metrics.",
        answers={200: bytes_answer("The metrics.", "text/plain")},
    ),
)
OPERATIONS: tuple[Operation, ...] = (
    *UPLOAD_OPERATIONS,
    *JOB_OPERATIONS,
    *EVENT_OPERATIONS,
    *RESULT_OPERATIONS,
    *OTHER_OPERATIONS,
)
# Fields that `wire` writes otherwise than the proto has them.
JOB_FIELDS: Schema = {"id": _TEXT, "state": {"enum": [state.value for state in JobState]}}
