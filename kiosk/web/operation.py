"""One operation of the HTTP API, in the words of OpenAPI."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from kiosk.web.answers import API
from kiosk.web.message_schemas import REF

Schema = dict[str, Any]
JSON = "application/json"
FORM = "multipart/form-data"  # with one field, `file`
# Whatever is asked: it makes no sense, nobody is known, it is not allowed, the body does not come,
# is too large or of another kind, there is too much to do, something is away.
ALWAYS = (400, 401, 403, 408, 413, 415, 429, 503)


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """Of the address (`path`), the query or the head of a request."""

    name: str
    place: str = "query"
    schema: Schema = field(default_factory=lambda: {"type": "string"})
    description: str = ""
    is_required: bool = False


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What comes back when all is well; without a media type there is no body."""

    description: str
    media_type: str = ""
    schema: Schema = field(default_factory=dict)
    headers: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One method at one address.

    Attributes:
        body: the fields of a JSON body, or the media type of another one.
        needs_body: whether there has to be one.
        answers, errors: by status; `ALWAYS` and, with an id in the address, 404 are added.
    """

    method: str
    path: str
    id: str
    summary: str
    parameters: Sequence[Parameter] = ()
    body: type[BaseModel] | str = ""
    needs_body: bool = True
    answers: dict[int, Answer]
    errors: Sequence[int] = ()


def json_answer(description: str, **properties: Schema) -> Answer:
    """An answer of an object with these properties."""
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return Answer(description=description, media_type=JSON, schema=schema)


def bytes_answer(description: str, media_type: str, headers: Sequence[str] = ()) -> Answer:
    """An answer that is no JSON."""
    return Answer(description=description, media_type=media_type, headers=headers)


def list_of(name: str) -> Schema:
    """Of messages."""
    return {"type": "array", "items": {"$ref": REF + name}}


# Of what has an ETag.
KNOWN_TAG = Parameter(
    name="If-None-Match", place="header", description="ETag of the answer that is there already."
)
UNCHANGED = Answer(description="It is as it was.", headers=("ETag",))
NUMBER: Schema = {"type": "integer", "minimum": 0, "maximum": 10**9 - 1}
POSITIVE: Schema = {"type": "number", "minimum": 0, "exclusiveMaximum": 2**31}
TEXT: Schema = {"type": "string"}
ID = Parameter(name="id", place="path", is_required=True, description="Of the job or upload.")
DONE = Answer(description="Done.")
JOB_AT = API + "/jobs/{id}"
