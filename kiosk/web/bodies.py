"""Small bodies of requests, as JSON."""

from __future__ import annotations

from typing import TypeVar

from aiohttp import web
from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from kiosk.errors import InvalidRequest

T = TypeVar("T", bound=BaseModel)


class Body(BaseModel):
    """The fields of a request; no others, and of the right kind."""

    model_config = ConfigDict(extra="forbid", strict=True)


class KeyBody(Body):
    """Body of POST /api/v1/session."""

    key: str


class UntilBody(Body):
    """Body of requests that say until when."""

    expire_time: AwareDatetime


async def body_of(request: web.Request, kind: type[T], example: str) -> T:
    """The body of a request.

    Args:
        example: what it should look like.

    Raises:
        InvalidRequest: it does not.
    """
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(text="Send application/json.")
    try:
        return kind.model_validate_json(await request.read())
    except ValidationError:
        raise InvalidRequest(f"This is asked for with {example} and nothing else.") from None


async def expire_time_of(request: web.Request) -> float:
    """Until when something is to be kept, in Unix seconds. Raises InvalidRequest."""
    example = '{"expire_time": "2030-12-31T12:00:00Z"}'
    return (await body_of(request, UntilBody, example)).expire_time.timestamp()
