"""The HTTP API described as OpenAPI 3.1, made from its operations, its bodies and the proto."""

from __future__ import annotations

from functools import cache
from typing import Any

from aiohttp import web
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from kiosk._proto import kiosk_pb2 as pb
from kiosk.web.answers import API
from kiosk.web.message_schemas import REF, message_schemas
from kiosk.web.operation import ALWAYS, FORM, JSON, Answer, Operation, Parameter, Schema
from kiosk.web.operations import JOB_FIELDS, OPERATIONS

PROBLEM = "application/problem+json"
# RFC 9457.
_PROBLEM: Schema = {
    "type": "object",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "One sentence for people."},
        "reason": {"type": "string", "description": "One word for programs."},
        "field": {"type": "string", "description": "Of the request that is wrong."},
    },
    "required": ["type", "title", "status", "detail", "reason"],
}
_FORM: Schema = {
    "type": "object",
    "properties": {"file": {"type": "string", "format": "binary"}},
    "required": ["file"],
}
_MESSAGES: tuple[Any, ...] = (pb.Job, pb.Model, pb.Image, pb.Result, pb.DeadLetter, pb.Share)


@cache
def document() -> dict[str, Any]:
    """The OpenAPI document."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Kiosk for cell images",
            "version": "1",
            "description": "Upload images, have cells found and followed, fetch labels and tables.",
        },
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            "responses": {
                "Problem": {
                    "description": "What is wrong, in one sentence.",
                    "content": {PROBLEM: {"schema": {"$ref": REF + "Problem"}}},
                }
            },
        },
    }


class OpenApi:
    """Serves the document."""

    def add_to(self, app: web.Application) -> None:
        app.router.add_get(f"{API}/openapi.json", self.show)

    async def show(self, request: web.Request) -> web.Response:
        return web.json_response(document())


def _schemas() -> dict[str, Schema]:
    found = message_schemas(*(message.DESCRIPTOR for message in _MESSAGES))
    job = found["Job"]
    job["properties"] = {**job["properties"], **JOB_FIELDS}
    job["required"] = sorted({*job["required"], *JOB_FIELDS})
    bodies: list[type[BaseModel]] = [
        operation.body for operation in OPERATIONS if isinstance(operation.body, type)
    ]
    _, made = models_json_schema(
        [(body, "validation") for body in bodies], ref_template=REF + "{model}"
    )
    return {**found, **made["$defs"], "Problem": _PROBLEM}


def _operation(operation: Operation) -> dict[str, Any]:
    errors = {*ALWAYS, *operation.errors}
    if "{" in operation.path:
        errors.add(404)
    problem = {"$ref": "#/components/responses/Problem"}
    described: dict[str, Any] = {
        "operationId": operation.id,
        "summary": operation.summary,
        "parameters": [_parameter(parameter) for parameter in operation.parameters],
        "responses": {
            **{str(status): _answer(answer) for status, answer in operation.answers.items()},
            **{str(status): problem for status in sorted(errors)},
        },
    }
    if operation.body:
        described["requestBody"] = _body(operation)
    return described


def _body(operation: Operation) -> dict[str, Any]:
    if operation.body == FORM:
        content: dict[str, Any] = {FORM: {"schema": _FORM}}
    elif isinstance(operation.body, str):
        content = {operation.body: {}}
    else:
        content = {JSON: {"schema": {"$ref": REF + operation.body.__name__}}}
    return {"required": operation.needs_body, "content": content}


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.is_required,
        "description": parameter.description,
        "schema": parameter.schema,
    }


def _answer(answer: Answer) -> dict[str, Any]:
    described: dict[str, Any] = {"description": answer.description}
    if answer.media_type:
        described["content"] = {answer.media_type: {"schema": answer.schema}}
    if answer.headers:
        described["headers"] = {name: {"schema": {"type": "string"}} for name in answer.headers}
    return described
