"""Operations for the tables and plots of jobs."""

from __future__ import annotations

from kiosk.web.operation import (
    ID,
    JOB_AT,
    NUMBER,
    TEXT,
    Operation,
    Parameter,
    Schema,
    json_answer,
)
from kiosk.web.readings import READING

_BOOL: Schema = {"type": "boolean"}
_FLOATS: Schema = {"type": "array", "items": {"type": "number"}}
_NUMBERS: Schema = {"type": "array", "items": NUMBER}


def _objects(**properties: Schema) -> Schema:
    """A list of objects with these properties."""
    item = {"type": "object", "properties": properties, "required": list(properties)}
    return {"type": "array", "items": item}


_PLANE_COUNTS = _objects(t=NUMBER, z={"type": ["integer", "null"]}, instances=NUMBER)
_HISTOGRAMS = _objects(
    column=TEXT, title=TEXT, unit=TEXT, edges=_FLOATS, counts=_NUMBERS, below=NUMBER, above=NUMBER
)

FIGURE_OPERATIONS = (
    Operation(
        method="get",
        path=JOB_AT + "/instances",
        id="listInstances",
        summary="The measurements of a plane, one row per instance.",
        parameters=(
            ID,
            Parameter(name="t", schema=NUMBER, description="Time point; default: the first."),
            Parameter(
                name="z",
                schema=NUMBER,
                description="Plane; default: the first one, or all of a stack in 3-D.",
            ),
            Parameter(name="label", schema=NUMBER, description="Only this instance."),
        ),
        answers={
            200: json_answer(
                "The table; `null` is not known.",
                columns=_objects(name=TEXT, unit=TEXT, meaning=TEXT),
                rows={
                    "type": "array",
                    "items": {"type": "array", "items": {"type": ["number", "null"]}},
                },
                truncated=_BOOL,
            )
        },
        errors=(409,),
    ),
    Operation(
        method="get",
        path=JOB_AT + "/statistics",
        id="getStatistics",
        summary="Instances per plane, and how sizes, intensities and speeds are distributed.",
        parameters=(ID,),
        answers={
            200: json_answer(
                "Counts; `z` is null for stacks in 3-D. Histograms go from the 0.5th to the 99.5th"
                " percentile; what lies `below` and `above` is counted in the first and last bin.",
                planes=_PLANE_COUNTS,
                histograms=_HISTOGRAMS,
                left_out={"type": "array", "items": TEXT},
                truncated=_BOOL,
            )
        },
        errors=(409,),
    ),
    Operation(
        method="get",
        path=JOB_AT + "/lineage",
        id="getLineage",
        summary="The tracks of a movie and who is whose daughter.",
        parameters=(ID,),
        answers={
            200: json_answer(
                "The tracks; parent 0 is none.",
                tracks=_objects(track=NUMBER, parent=NUMBER, first_t=NUMBER, last_t=NUMBER),
            )
        },
        errors=(409,),
    ),
    Operation(
        method="get",
        path=JOB_AT + "/tracks",
        id="getTracks",
        summary="Where cells are in some frames, by track, then time.",
        parameters=(
            ID,
            Parameter(name="first_t", schema=NUMBER, description="Default: the first frame."),
            Parameter(name="last_t", schema=NUMBER, description="Default: the last frame."),
        ),
        answers={
            200: json_answer(
                "Columns of equal length.", track=_NUMBERS, t=_NUMBERS, y_px=_FLOATS, x_px=_FLOATS
            )
        },
        errors=(409,),
    ),
    Operation(
        method="get",
        path=JOB_AT + "/comparison",
        id="compareJob",
        summary="The labels of a job against those of another one, or against a ground truth.",
        parameters=(
            ID,
            Parameter(
                name="with",
                is_required=True,
                description="What counts as the truth: jobs/ID, or uploads/ID of a label image.",
            ),
            *READING,
        ),
        answers={
            200: json_answer(
                "Lists have a value per IoU threshold; `f1` of planes is that at IoU 0.5.",
                iou=_FLOATS,
                f1=_FLOATS,
                precision=_FLOATS,
                recall=_FLOATS,
                ap=_FLOATS,
                planes=_objects(
                    t=NUMBER, z=NUMBER, f1={"type": "number"}, instances=NUMBER, others=NUMBER
                ),
                instances=NUMBER,
                others=NUMBER,
            )
        },
        errors=(409,),
    ),
)
