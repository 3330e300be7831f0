"""The table of instances as CSV and Parquet, and what its columns mean."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyarrow import parquet as pq
from result_makers import discs, result_image, rows_of, stack, write

from kiosk.exports import parquet, row_file
from kiosk.exports.parquet import ParquetTable
from kiosk.exports.tables import CsvTable
from kiosk.exports.writer import ResultImage
from kiosk.imaging.columns import MEANINGS, describe_column
from kiosk.testing import MemoryPlane


def movie(**changes: Any) -> tuple[list[MemoryPlane], ResultImage]:
    planes = stack(discs(60, 70), t=2, z=2, channels=2)
    names = ("DAPI", "anti-Ki67 (µ)")
    changes = {"channel_names": names, "pixel_size_um": (0.5, 0.5)} | changes
    return planes, result_image(planes, **changes)


def expected(planes: list[MemoryPlane], image: ResultImage) -> dict[str, np.ndarray]:
    found = [rows_of(plane, image) for plane in planes]
    return {name: np.concatenate([table[name] for table in found]) for name in image.columns}


@pytest.mark.parametrize("at_a_time", [7, 10_000])
def test_csv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_a_time: int) -> None:
    monkeypatch.setattr(row_file, "AT_A_TIME_ROWS", at_a_time)
    planes, image = movie()
    path = write(CsvTable, tmp_path / "x.csv", planes, image)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == image.columns
    for name, values in expected(planes, image).items():
        found = [float(row[name]) for row in rows]
        np.testing.assert_allclose(found, values, rtol=1e-7)


@pytest.mark.parametrize("group", [1, 50, 65_536])
def test_parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group: int) -> None:
    monkeypatch.setattr(parquet, "GROUP_ROWS", group)
    planes, image = movie()
    path = write(ParquetTable, tmp_path / "x.parquet", planes, image)
    table = pq.read_table(path)
    assert tuple(table.column_names) == image.columns
    for name, values in expected(planes, image).items():
        column = table[name]
        assert str(column.type) == ("int64" if values.dtype.kind == "i" else "double"), name
        np.testing.assert_array_equal(column.to_numpy(), values)


def test_units_and_meanings_are_in_the_file(tmp_path: Path) -> None:
    planes, image = movie(z_step_um=2.0, frame_interval_s=30.0)
    path = write(ParquetTable, tmp_path / "x.parquet", planes, image)
    schema = pq.read_schema(path)
    units = {field.name: field.metadata[b"unit"].decode() for field in schema}
    assert units["area_um2"] == "µm²"
    assert units["y_px"] == "px"
    assert units["orientation_rad"] == "rad"
    assert units["mean_intensity_DAPI"] == "grey value"
    assert all(field.metadata[b"meaning"] for field in schema)
    notes = {key.decode(): text.decode() for key, text in schema.metadata.items()}
    assert notes["kiosk.model"] == "nuclei"
    assert notes["kiosk.pixel_size_x_um"] == "0.5"
    assert notes["kiosk.z_step_um"] == "2.0"
    assert notes["kiosk.channels"] == "DAPI, anti-Ki67 (µ)"
    json.dumps(notes)


def test_pandas_opens_it(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    planes, image = movie()
    frame = pandas.read_parquet(write(ParquetTable, tmp_path / "x.parquet", planes, image))
    assert frame.groupby(["t", "z"]).size().tolist() == [plane.instances for plane in planes]


@pytest.mark.parametrize("writer", [CsvTable, ParquetTable])
def test_no_instances(tmp_path: Path, writer: Any) -> None:
    planes = [MemoryPlane(np.zeros((9, 9), np.uint32), t=t) for t in range(2)]
    path = write(writer, tmp_path / "x", planes, result_image(planes))
    if writer is CsvTable:
        assert len(path.read_text().splitlines()) == 1
    else:
        assert pq.read_table(path).num_rows == 0


def test_values_that_are_no_numbers(tmp_path: Path) -> None:
    labels = discs(30, 30)
    pixels = np.full((1, 30, 30), np.nan, np.float32)
    plane = MemoryPlane(labels, pixels)
    image = result_image([plane])
    found = pq.read_table(write(ParquetTable, tmp_path / "x", [plane], image))
    values = rows_of(plane, image)["mean_intensity"]
    np.testing.assert_array_equal(found["mean_intensity"].to_numpy(), values)


def test_every_column_has_a_unit_or_is_a_plain_number() -> None:
    plain = {"t", "z", "label", "planes", "within", "eccentricity", "solidity"}
    plain |= {"touches_border", "touches_z_border"}
    for name in MEANINGS:
        assert bool(describe_column(name).unit) == (name not in plain), name
        assert describe_column(name).meaning


def test_columns_of_which_only_the_name_is_known() -> None:
    assert describe_column("depth_um").unit == "µm"
    assert describe_column("volume_um3").unit == "µm³"
    assert describe_column("volume_px").is_whole
    assert describe_column("first_z").is_whole
    assert not describe_column("roundness").is_whole
