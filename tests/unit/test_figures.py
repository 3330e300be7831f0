"""Tables and plots of jobs are what a plain reading of their result files gives."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from movie_makers import discs
from segmented import kiosk_with, ome, request_of, spots
from tracked import ended, file_of, pictures, submitted, truth

from kiosk.callers import LOCAL
from kiosk.errors import NotFound, TooLarge, WrongState
from kiosk.figures import csv_rows, instance_table, track_table
from kiosk.figures.csv_rows import CsvRows
from kiosk.imaging.columns import describe_column
from kiosk.request import Plane
from kiosk.testing import FakeKiosk

STACK = spots((2, 3, 90, 110))


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables are read in pieces of a few rows."""
    monkeypatch.setattr(csv_rows, "PIECE_BYTES", 700)


async def segmented_job(kiosk: FakeKiosk, image: bytes, **request: Any) -> str:
    upload = await kiosk.upload(image, "cells.tif")
    job = await kiosk.service.segment(
        upload_id=upload, model="bright", **request_of(request), caller=LOCAL
    )
    await kiosk.work()
    return job.id


async def tracked_job(kiosk: FakeKiosk, **wanted: Any) -> str:
    movie = pictures(truth(7))
    job = await ended(kiosk, await submitted(file_of(movie, **metadata()), kiosk, **wanted))
    return job.id


def metadata() -> dict[str, Any]:
    sizes = {f"PhysicalSize{axis}": 0.5 for axis in "XY"}
    return {**sizes, "TimeIncrement": 60.0, "TimeIncrementUnit": "s"}


def stored(kiosk: FakeKiosk, job: str, ending: str) -> pandas.DataFrame:
    data = io.BytesIO(kiosk.store.objects[f"jobs/{job}/results/cells_{ending}"])
    return pandas.read_parquet(data) if ending.endswith("parquet") else pandas.read_csv(data)


def as_frame(table: Any) -> pandas.DataFrame:
    names = [column.name for column in table.columns]
    return pandas.DataFrame(dict(zip(names, table.values, strict=True)))


@pytest.mark.parametrize("format_name", ["table", "parquet"])
async def test_the_rows_of_each_plane(format_name: str) -> None:
    kiosk = kiosk_with()
    job = await segmented_job(kiosk, ome(STACK, "TZYX"), formats=(format_name,))
    ending = "instances.csv" if format_name == "table" else "instances.parquet"
    whole = stored(kiosk, job, ending)
    assert len(whole) > 100
    for t in range(2):
        for z in range(3):
            found = await kiosk.service.figures.instances(job, t, z, caller=LOCAL)
            rows = whole[(whole.t == t) & (whole.z == z)].drop(columns=["t", "z"])
            pandas.testing.assert_frame_equal(
                as_frame(found), rows.reset_index(drop=True), check_dtype=False
            )
            assert not found.truncated
    nothing = await kiosk.service.figures.instances(job, 2, 0, caller=LOCAL)
    assert len(as_frame(nothing)) == 0


async def test_a_job_of_one_plane() -> None:
    kiosk = kiosk_with()
    job = await segmented_job(kiosk, ome(STACK, "TZYX"), plane=Plane(t=1, z=2))
    whole = stored(kiosk, job, "instances.csv")
    figures = kiosk.service.figures
    assert len(as_frame(await figures.instances(job, 1, 2, caller=LOCAL))) == len(whole) > 0
    counts = (await figures.statistics(job, caller=LOCAL)).planes
    assert (counts.t.tolist(), counts.z.tolist()) == ([1], [2])
    assert counts.instances.tolist() == [len(whole)]


async def test_columns_say_what_they_hold() -> None:
    kiosk = kiosk_with()
    job = await segmented_job(kiosk, ome(STACK[0, 0], "YX", PhysicalSizeX=2, PhysicalSizeY=2))
    found = await kiosk.service.figures.instances(job, caller=LOCAL)
    assert found.columns[0].name == "label"
    for column in found.columns:
        known = describe_column(column.name)
        assert (column.unit, column.meaning) == (known.unit, known.meaning) != ("", "")
    assert {c.name: c.unit for c in found.columns}["area_um2"] == "µm²"


async def test_one_instance_and_a_table_that_is_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    kiosk = kiosk_with()
    job = await segmented_job(kiosk, ome(STACK[0, 0], "YX"))
    figures, whole = kiosk.service.figures, stored(kiosk, job, "instances.csv")
    one = as_frame(await figures.instances(job, label=7, caller=LOCAL))
    assert one.label.tolist() == [7]
    assert one.area_px.tolist() == whole[whole.label == 7].area_px.tolist()
    monkeypatch.setattr(instance_table, "MOST_ROWS", 5)
    cut = await figures.instances(job, caller=LOCAL)
    assert as_frame(cut).label.tolist() == [1, 2, 3, 4, 5]
    assert cut.truncated
    last = await figures.instances(job, label=len(whole), caller=LOCAL)
    assert as_frame(last).label.tolist() == [len(whole)]


async def test_objects_in_3d_belong_to_their_stack() -> None:
    ball = np.stack([discs({1: (20, 20, r), 2: (50, 60, 8.0 - r)}, 80) for r in (3.0, 5.0, 3.0)])
    empty = np.zeros_like(ball)
    stack = np.concatenate([empty, np.where(ball == 1, 200, 0), np.where(ball == 2, 200, 0)])
    movie = np.stack([stack, stack]).astype(np.uint8)
    kiosk = kiosk_with()
    job = await segmented_job(kiosk, ome(movie, "TZYX"), volume=True)
    whole = stored(kiosk, job, "instances.csv")
    assert len(whole) == 4
    figures = kiosk.service.figures
    all_of_it = as_frame(await figures.instances(job, 1, caller=LOCAL))
    assert all_of_it.label.tolist() == [1, 2]
    assert as_frame(await figures.instances(job, 1, 0, caller=LOCAL)).label.tolist() == []
    assert as_frame(await figures.instances(job, 1, 4, caller=LOCAL)).label.tolist() == [1]
    statistics = await figures.statistics(job, caller=LOCAL)
    counts = statistics.planes
    assert (counts.t.tolist(), counts.z.tolist()) == ([0, 1], [-1, -1])
    assert counts.instances.tolist() == [2, 2]
    assert [h.column for h in statistics.histograms] == ["volume_px", "mean_intensity"]


async def test_statistics_are_those_of_the_table() -> None:
    kiosk = kiosk_with()
    image = STACK.copy()
    image[1, 1] = 0  # a plane without instances counts too
    names = {"Channel": {"Name": ["DAPI", "GFP"]}}
    both = np.stack([image, 255 - image], 1)
    job = await segmented_job(kiosk, ome(both, "TCZYX", **names), channel="DAPI")
    whole = stored(kiosk, job, "instances.csv")
    found = await kiosk.service.figures.statistics(job, caller=LOCAL)
    planes = list(zip(found.planes.t, found.planes.z, found.planes.instances, strict=True))
    counted = whole.groupby(["t", "z"]).size()
    assert planes == [(t, z, counted.get((t, z), 0)) for t in range(2) for z in range(3)]
    titles = {h.column: (h.title, h.unit) for h in found.histograms}
    assert titles == {
        "area_px": ("Area", "px²"),
        "mean_intensity_DAPI": ("Mean grey value, DAPI", "grey value"),
        "mean_intensity_GFP": ("Mean grey value, GFP", "grey value"),
    }
    for item in found.histograms:
        values, bins = whole[item.column].to_numpy(), item.values
        low, high = np.percentile(values, (0.5, 99.5))
        assert bins.counts.sum() == len(values)
        assert bins.edges[0] <= low
        assert bins.edges[-1] >= high
        assert (bins.below, bins.above) == (
            (values < bins.edges[0]).sum(),
            (values > bins.edges[-1]).sum(),
        )
        expected, _ = np.histogram(values, bins.edges)
        expected[0] += bins.below
        expected[-1] += bins.above
        assert bins.counts.tolist() == expected.tolist()
    assert await kiosk.service.figures.statistics(job, caller=LOCAL) is found


async def test_a_tracked_movie() -> None:
    kiosk = kiosk_with()
    job = await tracked_job(kiosk)
    whole, summary = stored(kiosk, job, "tracks.csv"), stored(kiosk, job, "track_summary.csv")
    figures = kiosk.service.figures
    for t in range(7):
        found = as_frame(await figures.instances(job, t, 0, caller=LOCAL))
        rows = whole[whole.frame == t].drop(columns=["frame", "label"])
        rows = rows.rename(columns={"track_id": "track"}).reset_index(drop=True)
        pandas.testing.assert_frame_equal(found, rows, check_dtype=False)
    family = await figures.lineage(job, caller=LOCAL)
    for name, column in (("track", "track_id"), ("parent", "parent_id"), ("first_t", "first_frame"),
                         ("last_t", "last_frame")):  # fmt: skip
        assert getattr(family, name).tolist() == summary[column].tolist()
    ways = await figures.tracks(job, 2, 4, caller=LOCAL)
    rows = whole[whole.frame.between(2, 4)].sort_values(["track_id", "frame"])
    for name, column in (("track", "track_id"), ("t", "frame"), ("y_px", "y_px"), ("x_px", "x_px")):
        assert getattr(ways, name).tolist() == rows[column].tolist()
    assert len((await figures.tracks(job, caller=LOCAL)).t) == len(whole)
    statistics = await figures.statistics(job, caller=LOCAL)
    assert statistics.planes.instances.tolist() == whole.groupby("frame").size().tolist()
    speed = statistics.histograms[-1]
    assert (speed.column, speed.unit) == ("mean_speed_um_per_h", "µm/h")
    assert speed.values.counts.sum() == summary.mean_speed_um_per_h.notna().sum()
    assert statistics.histograms[0].column == "area_um2"


async def test_lineage_without_a_summary_is_the_same() -> None:
    kiosk = kiosk_with()
    both = await tracked_job(kiosk)
    points = await tracked_job(kiosk, formats=("tracks",))
    first = await kiosk.service.figures.lineage(both, caller=LOCAL)
    second = await kiosk.service.figures.lineage(points, caller=LOCAL)
    assert {k: v.tolist() for k, v in vars(first).items()} == {
        k: v.tolist() for k, v in vars(second).items()
    }
    statistics = await kiosk.service.figures.statistics(points, caller=LOCAL)
    assert [h.column for h in statistics.histograms] == ["area_um2", "mean_intensity"]


async def test_too_many_to_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    kiosk = kiosk_with()
    job = await tracked_job(kiosk)
    monkeypatch.setattr(track_table, "MOST_POINTS", 10)
    with pytest.raises(TooLarge, match="fewer frames"):
        await kiosk.service.figures.tracks(job, caller=LOCAL)
    assert len((await kiosk.service.figures.tracks(job, 0, 1, caller=LOCAL)).t) == 6
    monkeypatch.setattr(track_table, "MOST_TRACKS", 3)
    with pytest.raises(TooLarge, match="tracks"):
        await kiosk.service.figures.lineage(job, caller=LOCAL)


async def test_what_a_job_lacks() -> None:
    kiosk = kiosk_with()
    figures = kiosk.service.figures
    labels_only = await segmented_job(kiosk, ome(STACK[0, 0], "YX"), formats=("labels",))
    for asked in (figures.instances, figures.statistics):
        with pytest.raises(NotFound, match="format 'table'") as error:
            await asked(labels_only, caller=LOCAL)
        assert error.value.reason == "NO_TABLE"
    for asked in (figures.lineage, figures.tracks):
        with pytest.raises(NotFound, match="for tracking") as error:
            await asked(labels_only, caller=LOCAL)
        assert error.value.reason == "NO_TRACKS"
    movie = await tracked_job(kiosk, formats=("labels",))
    for asked in (figures.lineage, figures.tracks):
        with pytest.raises(NotFound, match="format 'tracks'") as error:
            await asked(movie, caller=LOCAL)
        assert error.value.reason == "NO_TRACKS"
    upload = await kiosk.upload(ome(STACK[0, 0], "YX"), "cells.tif")
    waiting = await kiosk.service.segment(upload_id=upload, model="bright", caller=LOCAL)
    with pytest.raises(WrongState):
        await figures.instances(waiting.id, caller=LOCAL)


async def test_an_image_with_nothing_in_it() -> None:
    kiosk = kiosk_with()
    job = await segmented_job(kiosk, ome(np.zeros((2, 60, 60), np.uint8), "TYX"))
    found = await kiosk.service.figures.statistics(job, caller=LOCAL)
    assert found.planes.instances.tolist() == [0, 0]
    assert found.histograms == []
    assert len(as_frame(await kiosk.service.figures.instances(job, 1, caller=LOCAL))) == 0


@pytest.mark.parametrize("seed", range(5))
def test_bisection_finds_every_range(tmp_path: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    t = np.sort(random.integers(0, 12, 60))
    z = random.integers(0, 4, 60)
    order = np.lexsort((z, t))
    frame = pandas.DataFrame(
        {"t": t[order], "z": z[order], "value": 10.0 ** random.uniform(0, 7, 60)}
    )
    path = tmp_path / "rows.csv"
    frame.to_csv(path, index=False, lineterminator="\r\n")
    with path.open("rb") as file:
        rows = CsvRows(file)
        for _ in range(40):
            first = tuple(random.integers(-1, 13, random.integers(0, 3)).tolist())
            last = tuple(random.integers(-1, 13, random.integers(0, 3)).tolist())
            found = [v for part in rows.read(["value"], first, last) for v in part["value"]]
            kept = [
                value
                for *key, value in frame.itertuples(index=False)
                if tuple(key)[: len(first)] >= first and tuple(key)[: len(last)] <= last
            ]
            assert found == pytest.approx(kept)
