"""JSON schemas of proto messages as `wire` writes them, so that the proto stays the one source."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

Schema = dict[str, Any]
REF = "#/components/schemas/"
# Counts of bytes, which `wire` writes as numbers; other 64-bit numbers are text in proto JSON.
NUMBERS = frozenset({"size_bytes", "offset_bytes"})

_WELL_KNOWN: dict[str, Schema] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {"type": "string"},
    "google.protobuf.Struct": {"type": "object"},
    "google.protobuf.Value": {},
}
_SCALARS: dict[int, Schema] = {
    FieldDescriptor.TYPE_DOUBLE: {"type": "number"},
    FieldDescriptor.TYPE_FLOAT: {"type": "number"},
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_STRING: {"type": "string"},
    FieldDescriptor.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
    FieldDescriptor.TYPE_INT32: {"type": "integer"},
    FieldDescriptor.TYPE_UINT32: {"type": "integer"},
    FieldDescriptor.TYPE_INT64: {"type": "string", "pattern": "^-?[0-9]+$"},
    FieldDescriptor.TYPE_UINT64: {"type": "string", "pattern": "^[0-9]+$"},
}


def message_schemas(*messages: Descriptor) -> dict[str, Schema]:
    """Schemas of messages, and of all that they hold, by name."""
    found: dict[str, Schema] = {}
    waiting = list(messages)
    while waiting:
        message = waiting.pop()
        if message.name in found or message.full_name in _WELL_KNOWN:
            continue
        found[message.name] = {
            "type": "object",
            "properties": {field.name: _of_field(field) for field in message.fields},
            # What has no presence is always written.
            "required": [field.name for field in message.fields if not field.has_presence],
        }
        waiting += [
            held
            for field in message.fields
            if (held := _held(field)) is not None and not held.GetOptions().map_entry
        ]
    return found


def _held(field: FieldDescriptor) -> Descriptor | None:
    """The message in a field, that of the values in a map."""
    message = field.message_type
    if message is not None and message.GetOptions().map_entry:
        return message.fields_by_name["value"].message_type
    return message


def _of_field(field: FieldDescriptor) -> Schema:
    message = field.message_type
    if message is not None and message.GetOptions().map_entry:
        value = _of_one(message.fields_by_name["value"])
        return {"type": "object", "additionalProperties": value}
    if field.is_repeated:
        return {"type": "array", "items": _of_one(field)}
    return {"type": "integer"} if field.name in NUMBERS else _of_one(field)


def _of_one(field: FieldDescriptor) -> Schema:
    if field.message_type is not None:
        known = _WELL_KNOWN.get(field.message_type.full_name)
        return known if known is not None else {"$ref": REF + field.message_type.name}
    if field.enum_type is not None:
        return {"type": "string", "enum": _names(field.enum_type)}
    return _SCALARS[field.type]


def _names(kind: EnumDescriptor) -> list[str]:
    return [value.name for value in kind.values]
