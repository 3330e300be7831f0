"""Operations of the API of the DeepCell Kiosk."""

from __future__ import annotations

from kiosk.web.answers import OLD_API, OLD_UPLOAD
from kiosk.web.deepcell_requests import ExpireBody, FieldsBody, HashBody, PredictBody
from kiosk.web.operation import (
    FORM,
    ID,
    TEXT,
    Operation,
    Parameter,
    Schema,
    bytes_answer,
    json_answer,
)

_FILE = Parameter(name="file", place="path", is_required=True, description="Any name.")
_TEXTS: Schema = {"type": "array", "items": TEXT}
_VALUE: Schema = {"type": ["string", "null"]}

DEEPCELL_OPERATIONS = (
    Operation(
        method="get",
        path=f"{OLD_API}/health-check",
        id="oldHealth",
        summary="As of the DeepCell Kiosk: it is there.",
        answers={200: json_answer("It is.", message=TEXT)},
    ),
    Operation(
        method="get",
        path=f"{OLD_API}/jobtypes",
        id="oldJobTypes",
        summary="As of the DeepCell Kiosk: types of jobs, with notes on some.",
        answers={
            200: json_answer(
                "The types.",
                jobTypes=_TEXTS,
                notes={"type": "object", "additionalProperties": TEXT},
            )
        },
    ),
    Operation(
        method="get",
        path=f"{OLD_API}/models",
        id="oldModels",
        summary="As of the DeepCell Kiosk: models and their versions.",
        answers={
            200: json_answer(
                "The models.", models={"type": "object", "additionalProperties": _TEXTS}
            )
        },
    ),
    Operation(
        method="post",
        path=OLD_UPLOAD,
        id="oldUpload",
        summary="As of the DeepCell Kiosk: send a file as a form.",
        body=FORM,
        answers={200: json_answer("It is there.", uploadedName=TEXT, imageURL=TEXT)},
    ),
    Operation(
        method="post",
        path=f"{OLD_API}/predict",
        id="oldPredict",
        summary="As of the DeepCell Kiosk: begin a job, or those of each image of a zip.",
        body=PredictBody,
        answers={200: json_answer("It has begun.", hash=TEXT)},
        errors=(404, 409),
    ),
    Operation(
        method="post",
        path=f"{OLD_API}/status",
        id="oldStatus",
        summary="As of the DeepCell Kiosk: where a job stands.",
        body=HashBody,
        answers={200: json_answer("Its status.", status=TEXT)},
        errors=(404,),
    ),
    Operation(
        method="post",
        path=f"{OLD_API}/redis",
        id="oldFields",
        summary="As of the DeepCell Kiosk: what is told of a job; null for what is not known.",
        body=FieldsBody,
        answers={
            200: json_answer(
                "The values.", value={"anyOf": [_VALUE, {"type": "array", "items": _VALUE}]}
            )
        },
        errors=(404,),
    ),
    Operation(
        method="post",
        path=f"{OLD_API}/redis/expire",
        id="oldExpire",
        summary="As of the DeepCell Kiosk; jobs are kept for as long as they are nevertheless.",
        body=ExpireBody,
        answers={200: json_answer("The job is there.", value={"const": 1})},
        errors=(404,),
    ),
    Operation(
        method="get",
        path=OLD_API + "/output/{id}/{file}",
        id="oldOutput",
        summary="As of the DeepCell Kiosk: a zip of label images.",
        parameters=(ID, _FILE),
        answers={200: bytes_answer("The zip.", "application/zip")},
    ),
)
