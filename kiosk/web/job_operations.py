"""Operations with jobs and their events."""

from __future__ import annotations

from kiosk.jobs import JobState
from kiosk.web.answers import API
from kiosk.web.jobs import JobRequest
from kiosk.web.message_schemas import REF
from kiosk.web.operation import (
    DONE,
    ID,
    JOB_AT,
    JSON,
    KNOWN_TAG,
    NUMBER,
    TEXT,
    UNCHANGED,
    Answer,
    Operation,
    Parameter,
    Schema,
    bytes_answer,
    json_answer,
    list_of,
)

FLAG: Schema = {"type": "string", "enum": ["true", "false"]}
_ALL_OWNERS = Parameter(name="all_owners", schema=FLAG, description="Of everybody; for admins.")
_JOB = Answer(description="The job.", media_type=JSON, schema={"$ref": REF + "Job"})

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
            Parameter(name="page_size", schema=NUMBER),
            Parameter(name="page_token", description="`next_page_token` of the page before."),
            _ALL_OWNERS,
            Parameter(
                name="search",
                description="Words that all occur in file name, model, state or owner.",
            ),
            Parameter(name="state", schema={"enum": [state.value for state in JobState]}),
            Parameter(name="previews", schema=FLAG, description="Previews too."),
            KNOWN_TAG,
        ),
        answers={
            200: json_answer("A page.", jobs=list_of("Job"), next_page_token=TEXT),
            304: UNCHANGED,
        },
    ),
    Operation(
        method="get",
        path=JOB_AT,
        id="getJob",
        summary="A job as it stands.",
        parameters=(ID, KNOWN_TAG),
        answers={200: _JOB, 304: UNCHANGED},
    ),
    Operation(
        method="delete",
        path=JOB_AT,
        id="deleteJob",
        summary="Delete a finished job with its results.",
        parameters=(ID,),
        answers={204: DONE},
        errors=(409,),
    ),
    Operation(
        method="post",
        path=JOB_AT + "/cancel",
        id="cancelJob",
        summary="Stop a job.",
        parameters=(ID,),
        answers={200: _JOB},
    ),
    Operation(
        method="post",
        path=JOB_AT + "/redrive",
        id="redriveJob",
        summary="Begin a job anew that was given up.",
        parameters=(ID,),
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
        path=JOB_AT + "/events",
        id="watchJob",
        summary="Server-sent events of a job, until it ends; while it is queued also `position`:"
        " how many jobs go before it.",
        parameters=(
            ID,
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
