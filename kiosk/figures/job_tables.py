"""The tables that a finished job has stored, opened for reading."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from kiosk.errors import NotFound
from kiosk.exports import FORMATS, RUN_ENDING
from kiosk.exports.tracks import TRACK_FORMATS
from kiosk.figures.csv_rows import CsvRows
from kiosk.figures.parquet_rows import ParquetRows
from kiosk.figures.stored_rows import StoredRows
from kiosk.jobs import Job, result_stem, results_prefix
from kiosk.ports import ObjectStore


@contextmanager
def instance_rows(store: ObjectStore, job: Job) -> Iterator[StoredRows]:
    """The table of a job's instances; for use in a thread. Raises NotFound (NO_TABLE)."""
    if job.pipeline == "tracking":
        with _csv(store, job, TRACK_FORMATS["tracks"].ending) as rows:
            if rows is None:
                raise no_table("tracks")
            yield rows
        return
    with _csv(store, job, FORMATS["table"].ending) as rows:
        if rows is not None:
            yield rows
            return
    if (file := _opened(store, job, FORMATS["parquet"].ending)) is None:
        raise no_table("table")
    with file:
        yield ParquetRows(file)


@contextmanager
def track_rows(store: ObjectStore, job: Job, name: str) -> Iterator[CsvRows]:
    """The table of a job's tracks in a format; for use in a thread.

    Args:
        name: "tracks" or "track-summary".

    Raises:
        NotFound: NO_TRACKS.
    """
    if job.pipeline != "tracking":
        raise NotFound(
            "This job has no tracks: it looked at every plane by itself. Submit the movie for"
            " tracking.",
            reason="NO_TRACKS",
        )
    with _csv(store, job, TRACK_FORMATS[name].ending) as rows:
        if rows is None:
            raise NotFound(
                f"This job has no table of its tracks. Submit the movie with the format '{name}',"
                " or name no formats.",
                reason="NO_TRACKS",
            )
        yield rows


def run_record(store: ObjectStore, job: Job) -> dict[str, Any]:
    """How the results of a job were made; for use in a thread. Raises NotFound."""
    file = _opened(store, job, RUN_ENDING)
    if file is None:
        raise NotFound("The results of this job are no longer there.", reason="RESULT_GONE")
    with file:
        record: dict[str, Any] = json.loads(file.read())
    return record


def result_key(job: Job, ending: str) -> str:
    """Object key of the result of a job that ends so."""
    return f"{results_prefix(job.id)}{result_stem(job.file_name)}{ending}"


def no_table(name: str) -> NotFound:
    """The error for a job without a table of its instances.

    Args:
        name: of the format that would be one.
    """
    return NotFound(
        f"This job has no table of its instances. Submit the image with the format '{name}', or"
        " name no formats.",
        reason="NO_TABLE",
    )


@contextmanager
def _csv(store: ObjectStore, job: Job, ending: str) -> Iterator[CsvRows | None]:
    """A table, None where there is none."""
    file = _opened(store, job, ending)
    if file is None:
        yield None
        return
    with file:
        yield CsvRows(file)


def _opened(store: ObjectStore, job: Job, ending: str) -> BinaryIO | None:
    try:
        return store.open(result_key(job, ending))
    except NotFound:
        return None
