"""What can be asked of the HTTP API: the table of its operations, from which its document is made.

A test holds it to the routes of the application, and another one asks all of them at random.
"""

from __future__ import annotations

from kiosk.jobs import JobState
from kiosk.web.answers import API
from kiosk.web.bodies import KeyBody
from kiosk.web.deepcell_operations import DEEPCELL_OPERATIONS
from kiosk.web.figure_operations import FIGURE_OPERATIONS
from kiosk.web.job_operations import EVENT_OPERATIONS, JOB_OPERATIONS
from kiosk.web.operation import DONE, TEXT, Operation, Schema, bytes_answer, json_answer, list_of
from kiosk.web.result_operations import RESULT_OPERATIONS
from kiosk.web.sessions import SESSION
from kiosk.web.share_operations import SHARE_OPERATIONS
from kiosk.web.tile_operations import TILE_OPERATIONS
from kiosk.web.upload_operations import UPLOAD_OPERATIONS

_CALLER = json_answer("Who is signed in.", owner=TEXT, scopes={"type": "array", "items": TEXT})

OTHER_OPERATIONS = (
    Operation(
        method="get",
        path=SESSION,
        id="getSession",
        summary="Who is signed in.",
        answers={200: _CALLER},
    ),
    Operation(
        method="post",
        path=SESSION,
        id="beginSession",
        summary="Sign in with an API key; the answer sets a cookie.",
        body=KeyBody,
        answers={200: _CALLER},
    ),
    Operation(
        method="delete",
        path=SESSION,
        id="endSession",
        summary="Sign out.",
        answers={204: DONE},
    ),
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
        answers={200: json_answer("The document.", openapi=TEXT, info={}, paths={}, components={})},
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
    *SHARE_OPERATIONS,
    *EVENT_OPERATIONS,
    *RESULT_OPERATIONS,
    *FIGURE_OPERATIONS,
    *TILE_OPERATIONS,
    *OTHER_OPERATIONS,
    *DEEPCELL_OPERATIONS,
)
# Fields that `wire` writes otherwise than the proto has them.
JOB_FIELDS: Schema = {"id": TEXT, "state": {"enum": [state.value for state in JobState]}}
