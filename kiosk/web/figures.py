"""Tables and plots of finished jobs: instances, statistics, tracks, comparison."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from aiohttp import web

from kiosk.errors import InvalidRequest
from kiosk.figures import Figures
from kiosk.figures.comparison import Comparison
from kiosk.figures.instance_table import InstanceTable
from kiosk.figures.statistics import Statistics
from kiosk.figures.track_table import Family, Ways
from kiosk.imaging.scores import THRESHOLDS
from kiosk.web.answers import API, KEEP
from kiosk.web.callers import caller_of
from kiosk.web.readings import reading_of

# Rows packed at a time: other threads come in between.
PIECE_ROWS = 500


class FigureRoutes:
    """Tables and plots of finished jobs: instances, statistics, tracks, comparison."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def add_to(self, app: web.Application) -> None:
        job = API + "/jobs/{id}"
        app.router.add_get(f"{job}/instances", self.instances)
        app.router.add_get(f"{job}/statistics", self.statistics)
        app.router.add_get(f"{job}/lineage", self.lineage)
        app.router.add_get(f"{job}/tracks", self.tracks)
        app.router.add_get(f"{job}/comparison", self.comparison)

    async def instances(self, request: web.Request) -> web.Response:
        query = request.query
        found = await self._figures.instances(
            request.match_info["id"],
            _whole(query, "t") or 0,
            _whole(query, "z"),
            _whole(query, "label"),
            caller=caller_of(request),
        )
        return await _answer(lambda: _instances_json(found))

    async def statistics(self, request: web.Request) -> web.Response:
        found = await self._figures.statistics(request.match_info["id"], caller=caller_of(request))
        return await _answer(lambda: _packed(_statistics_json(found)))

    async def lineage(self, request: web.Request) -> web.Response:
        found = await self._figures.lineage(request.match_info["id"], caller=caller_of(request))
        return await _answer(lambda: _lineage_json(found))

    async def tracks(self, request: web.Request) -> web.Response:
        query = request.query
        found = await self._figures.tracks(
            request.match_info["id"],
            _whole(query, "first_t") or 0,
            _whole(query, "last_t"),
            caller=caller_of(request),
        )
        return await _answer(lambda: _tracks_json(found))

    async def comparison(self, request: web.Request) -> web.Response:
        collection, _, name = request.query.get("with", "").partition("/")
        if collection not in ("jobs", "uploads") or not name:
            raise InvalidRequest(
                "'with' must say what the job is compared with: jobs/ID or uploads/ID.",
                field="with",
            )
        found = await self._figures.comparison(
            request.match_info["id"],
            with_job=name if collection == "jobs" else "",
            with_upload=name if collection == "uploads" else "",
            reading=reading_of(request.query),
            caller=caller_of(request),
            is_wanted=lambda: request.transport is not None,
        )
        return web.json_response(_comparison_json(found))


async def _answer(packed: Callable[[], bytes]) -> web.Response:
    """The answer whose JSON is packed in a thread: there may be megabytes of it."""
    body = await asyncio.to_thread(packed)
    return web.Response(body=body, content_type="application/json", headers=KEEP)


def _packed(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _instances_json(table: InstanceTable) -> bytes:
    count = len(table.values[0])
    rows = []
    for first in range(0, count, PIECE_ROWS):
        some = [_numbers(column[first : first + PIECE_ROWS]) for column in table.values]
        rows.append(_packed(list(zip(*some, strict=True)))[1:-1])
    head = _packed([vars(column) for column in table.columns])
    truncated = _packed(table.truncated)
    return b'{"columns":%b,"rows":[%b],"truncated":%b}' % (head, b",".join(rows), truncated)


def _statistics_json(found: Statistics) -> dict[str, Any]:
    places = zip(found.planes.t.tolist(), found.planes.z.tolist(), strict=True)
    planes = [
        {"t": t, "z": None if z < 0 else z, "instances": instances}
        for (t, z), instances in zip(places, found.planes.instances.tolist(), strict=True)
    ]
    histograms = [
        {
            "column": item.column,
            "title": item.title,
            "unit": item.unit,
            "edges": item.values.edges.tolist(),
            "counts": item.values.counts.tolist(),
            "below": item.values.below,
            "above": item.values.above,
        }
        for item in found.histograms
    ]
    return {
        "planes": planes,
        "histograms": histograms,
        "left_out": list(found.left_out),
        "truncated": found.truncated,
    }


def _comparison_json(found: Comparison) -> dict[str, Any]:
    counts = found.pooled.counts
    return {
        "iou": THRESHOLDS,
        "f1": [at.f1 for at in counts],
        "precision": [at.precision for at in counts],
        "recall": [at.recall for at in counts],
        "ap": [at.average_precision for at in counts],
        "planes": [
            {
                "t": plane.t,
                "z": plane.z,
                "f1": plane.scores.counts[0].f1,
                "instances": plane.scores.predicted_count,
                "others": plane.scores.truth_count,
            }
            for plane in found.planes
        ],
        "instances": found.pooled.predicted_count,
        "others": found.pooled.truth_count,
    }


def _lineage_json(found: Family) -> bytes:
    columns = {name: column.tolist() for name, column in vars(found).items()}
    lines = zip(*columns.values(), strict=True)
    return _packed({"tracks": [dict(zip(columns, line, strict=True)) for line in lines]})


def _tracks_json(found: Ways) -> bytes:
    columns = [_packed(name) + b":" + _packed(_numbers(v)) for name, v in vars(found).items()]
    return b"{%b}" % b",".join(columns)


def _numbers(column: np.ndarray) -> list[Any]:
    """The values of a column as JSON has them: null for what is not known."""
    known = np.isfinite(column)
    if known.all():
        is_whole = np.all(column == np.floor(column))
        return list((column.astype(np.int64) if is_whole else column).tolist())
    pairs = zip(column.tolist(), known.tolist(), strict=True)
    return [value if is_known else None for value, is_known in pairs]


def _whole(query: Mapping[str, str], name: str) -> int | None:
    """A number of the query, counted from 0; None where it is missing."""
    text = query.get(name, "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise InvalidRequest(
            f"'{name}' must be a whole number from 0 on, not '{text[:50]}'.", field=name
        )
    return int(text)
