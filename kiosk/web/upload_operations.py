"""Operations with uploads."""

from __future__ import annotations

from kiosk.web.answers import CHECKSUM_MISMATCH_STATUS, TUS_VERSION, UPLOADS
from kiosk.web.operation import (
    DONE,
    ID,
    POSITIVE,
    Answer,
    Operation,
    Parameter,
    Schema,
    json_answer,
    list_of,
)
from kiosk.web.pace import OFFSET_STREAM
from kiosk.web.readings import READING

_TUS = Parameter(
    name="Tus-Resumable", place="header", is_required=True, schema={"const": TUS_VERSION}
)
_BYTES: Schema = {"type": "integer", "minimum": 0, "maximum": 10**18 - 1}
_LENGTH = Parameter(name="Upload-Length", place="header", schema=_BYTES)
_CHECKSUM = Parameter(
    name="Upload-Checksum",
    place="header",
    description="Of the body: `sha1`, `sha256` or `md5`, and the digest in base64.",
)
_PROGRESS = ("Upload-Offset", "Upload-Expires", "Tus-Resumable")
_UPLOAD_AT = UPLOADS + "/{id}"
_READING = (
    *READING,
    Parameter(name="thumbnail_px", schema=POSITIVE, description="Longest side; 0 = none."),
    Parameter(name="list_only", schema=POSITIVE, description="1: images are not opened."),
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
            _CHECKSUM,
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
        parameters=(ID, _TUS),
        answers={200: Answer(description="So much.", headers=("Upload-Length", *_PROGRESS))},
        errors=(412,),
    ),
    Operation(
        method="patch",
        path=_UPLOAD_AT,
        id="appendToUpload",
        summary="Send more bytes of an upload (tus).",
        parameters=(
            ID,
            _TUS,
            Parameter(name="Upload-Offset", place="header", is_required=True, schema=_BYTES),
            _LENGTH,
            _CHECKSUM,
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
            ID,
            _TUS,
            Parameter(
                name="X-HTTP-Method-Override",
                place="header",
                is_required=True,
                schema={"enum": ["PATCH", "DELETE"]},
            ),
            Parameter(name="Upload-Offset", place="header", schema=_BYTES),
            _CHECKSUM,
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
        parameters=(ID, _TUS),
        answers={204: DONE},
        errors=(412,),
    ),
    Operation(
        method="get",
        path=_UPLOAD_AT + "/images",
        id="inspectUpload",
        summary="What the kiosk sees in an upload: images, axes, channels, sizes, thumbnails.",
        parameters=(ID, *_READING),
        answers={200: json_answer("The images.", images=list_of("Image"))},
        errors=(409,),
    ),
)
