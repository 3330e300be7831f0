"""Operations with what jobs have produced."""

from __future__ import annotations

from kiosk.web.operation import (
    ID,
    JOB_AT,
    KNOWN_TAG,
    UNCHANGED,
    Operation,
    Parameter,
    bytes_answer,
    json_answer,
    list_of,
)

_FILE = Parameter(name="file", place="path", is_required=True, description="Name of a result.")

RESULT_OPERATIONS = (
    Operation(
        method="get",
        path=JOB_AT + "/results",
        id="listResults",
        summary="The files that a job has produced.",
        parameters=(ID, KNOWN_TAG),
        answers={200: json_answer("The files.", results=list_of("Result")), 304: UNCHANGED},
        errors=(409,),
    ),
    Operation(
        method="get",
        path=JOB_AT + "/results/{file}",
        id="downloadResult",
        summary="A file, or a range of it.",
        parameters=(
            ID,
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
        path=JOB_AT + "/results.zip",
        id="downloadResults",
        summary="All files as one zip.",
        parameters=(ID,),
        answers={200: bytes_answer("The zip.", "application/zip")},
        errors=(409,),
    ),
)
