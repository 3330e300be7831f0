"""Operations with what jobs have produced."""

from __future__ import annotations

from kiosk.web.operation import (
    ID,
    JOB_AT,
    KNOWN_TAG,
    NUMBER,
    UNCHANGED,
    Operation,
    Parameter,
    bytes_answer,
    json_answer,
    list_of,
)

_INDEX = Parameter(name="index", place="path", is_required=True, schema=NUMBER)
_FILE = Parameter(name="file", place="path", is_required=True, description="Name of a result.")
_PLANE_AT = JOB_AT + "/planes/{index}"

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
    Operation(
        method="get",
        path=JOB_AT + "/planes",
        id="listPlanes",
        summary="What there is to look at.",
        parameters=(ID,),
        answers={
            200: json_answer(
                "The planes.",
                width_px=NUMBER,
                height_px=NUMBER,
                picture_width_px=NUMBER,
                picture_height_px=NUMBER,
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
        parameters=(ID, _INDEX),
        answers={200: bytes_answer("The picture.", "image/png")},
    ),
    Operation(
        method="get",
        path=_PLANE_AT + "/labels",
        id="getLabels",
        summary="The labels of a plane: little-endian uint32, packed by gzip.",
        parameters=(ID, _INDEX),
        answers={200: bytes_answer("Labels.", "application/octet-stream", ("X-Width", "X-Height"))},
        errors=(409,),
    ),
)
