"""Operations with images and labels as viewers ask for them."""

from __future__ import annotations

from collections.abc import Sequence

from kiosk.web.answers import API, OPEN_PATH
from kiosk.web.operation import (
    ID,
    NUMBER,
    Answer,
    Operation,
    Parameter,
    Schema,
    bytes_answer,
    json_answer,
)
from kiosk.web.readings import READING

_BOOLEAN: Schema = {"type": "boolean"}
_MAYBE_NUMBER: Schema = {"type": ["number", "null"]}
_OBJECTS: Schema = {"type": "array", "items": {"type": "object"}}
_INFO = json_answer(
    "What there is to see; real value = offset + scale * stored value.",
    sizes={"type": "object", "required": ["t", "c", "z", "y", "x"]},
    dtype={"type": "string"},
    is_rgb=_BOOLEAN,
    tile_px=NUMBER,
    levels={"type": "array", "items": {"type": "object", "required": ["width_px", "height_px"]}},
    channels=_OBJECTS,
    shown_channels={"type": "array", "items": NUMBER},
    pixel_size_um={"type": ["array", "null"], "items": {"type": "number"}},
    z_step_um=_MAYBE_NUMBER,
    frame_interval_s=_MAYBE_NUMBER,
    label_planes={"type": ["array", "null"], "items": {"type": "array", "items": NUMBER}},
    has_labels=_BOOLEAN,
    has_instances=_BOOLEAN,
    has_tracks=_BOOLEAN,
    labels_are_volumes=_BOOLEAN,
)


def _at(*names: str) -> tuple[Parameter, ...]:
    return tuple(
        Parameter(name=name, place="path", is_required=True, schema=NUMBER) for name in names
    )


def _packed(description: str) -> Answer:
    return bytes_answer(description, "application/octet-stream", ("Content-Encoding",))


def _of(things: str, name: str, more: Sequence[Parameter] = ()) -> tuple[Operation, ...]:
    """The three operations of jobs, or of uploads."""
    path = f"{API}/{things}/{{id}}"
    return (
        Operation(
            method="get",
            path=f"{path}/image",
            id=f"get{name}Image",
            summary="Sizes, resolutions, channels with limits of contrast, and which labels exist.",
            parameters=(ID, *more),
            answers={200: _INFO},
            errors=(409,),
        ),
        Operation(
            method="get",
            path=f"{path}/image/{{level}}/{{t}}/{{z}}/{{c}}/{{row}}/{{column}}",
            id=f"get{name}Tile",
            summary="A tile of a channel: (y, x) little-endian uint16, packed by gzip.",
            parameters=(ID, *_at("level", "t", "z", "c", "row", "column"), *more),
            answers={200: _packed("The tile, cut at the edge of the image.")},
            errors=(409,),
        ),
        Operation(
            method="get",
            path=f"{path}/labels/{{level}}/{{t}}/{{z}}/{{row}}/{{column}}",
            id=f"get{name}LabelTile",
            summary="Labels of a tile and one pixel around it: little-endian uint32, as gzip.",
            parameters=(ID, *_at("level", "t", "z", "row", "column"), *more),
            answers={200: _packed("(height + 2, width + 2) labels; 0 outside of the image.")},
            errors=(409,),
        ),
    )


_OPEN_ZARR = Operation(
    method="get",
    path=OPEN_PATH,
    id="openZarr",
    summary="A file, or a range of it, of a job as OME-Zarr 0.4, for napari, vizarr and others.",
    parameters=(
        Parameter(name="token", place="path", is_required=True, description="Of a share link."),
        Parameter(name="path", place="path", is_required=True, description="Within the OME-Zarr."),
        Parameter(name="Range", place="header"),
    ),
    answers={
        200: bytes_answer("The file.", "*/*", ("Accept-Ranges",)),
        206: bytes_answer("The range.", "*/*", ("Content-Range",)),
    },
    errors=(416,),
)

TILE_OPERATIONS = (*_of("jobs", "Job"), *_of("uploads", "Upload", READING), _OPEN_ZARR)
