"""Instances as AnnData, read back by anndata."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from result_makers import discs, result_image, rows_of, stack, write

from kiosk.exports.anndata_file import AnnDataFile
from kiosk.testing import MemoryPlane

anndata = pytest.importorskip("anndata")


def opened(path: Path) -> Any:
    return anndata.read_h5ad(path)


def test_intensities_by_channel_and_the_rest_by_instance(tmp_path: Path) -> None:
    planes = stack(discs(60, 70), t=2, z=1, channels=2)
    image = result_image(planes, channel_names=("DAPI", "anti/Ki67 µ"), pixel_size_um=(0.5, 0.25))
    data = opened(write(AnnDataFile, tmp_path / "a b.h5ad", planes, image))
    tables = [rows_of(plane, image) for plane in planes]
    expected = {name: np.concatenate([t[name] for t in tables]) for name in image.columns}
    assert data.var_names.tolist() == ["DAPI", "anti/Ki67 µ"]
    means = [expected["mean_intensity_DAPI"], expected["mean_intensity_anti_Ki67_µ"]]
    np.testing.assert_array_equal(data.X, np.stack(means, axis=1))
    assert set(data.layers) == {
        f"{kind}_intensity" for kind in ("sd", "min", "max", "median", "total")
    }
    np.testing.assert_array_equal(
        data.layers["max_intensity"][:, 0], expected["max_intensity_DAPI"]
    )
    left = [name for name in image.columns if "intensity" not in name]
    assert data.obs.columns.tolist() == left
    for name in left:
        assert data.obs[name].dtype == expected[name].dtype
        np.testing.assert_array_equal(data.obs[name], expected[name])
    np.testing.assert_array_equal(data.obsm["spatial"][:, 0], expected["x_um"])
    np.testing.assert_array_equal(data.obsm["spatial"][:, 1], expected["y_um"])
    assert data.obs_names.is_unique
    assert data.obs_names[0] == "0-0-1"


def test_units_and_model(tmp_path: Path) -> None:
    planes = stack(discs(40, 40))
    image = result_image(planes, about={"model": "nuclei", "trained/by": "us"})
    data = opened(write(AnnDataFile, tmp_path / "x.h5ad", planes, image))
    notes = data.uns["kiosk"]
    assert notes["model"] == "nuclei"
    assert notes["trained_by"] == "us"
    assert notes["spatial_unit"] == "px"
    assert notes["units"]["area_px"] == "px²"
    np.testing.assert_array_equal(data.obsm["spatial"][:, 0], data.obs["x_px"])


def test_channels_of_the_same_name(tmp_path: Path) -> None:
    planes = stack(discs(40, 40), channels=2)
    image = result_image(planes, channel_names=("a", "a"))
    data = opened(write(AnnDataFile, tmp_path / "x.h5ad", planes, image))
    assert data.var_names.tolist() == ["a 0", "a 1"]
    assert data.X.shape[1] == 2


def test_no_instances(tmp_path: Path) -> None:
    planes = [MemoryPlane(np.zeros((9, 9), np.uint32), t=t) for t in range(2)]
    assert opened(write(AnnDataFile, tmp_path / "x", planes, result_image(planes))).shape == (0, 1)
    writer = AnnDataFile(tmp_path / "y", result_image(planes))
    writer.close()
    assert opened(tmp_path / "y").shape == (0, 1)


def test_no_intensities(tmp_path: Path) -> None:
    planes = stack(discs(40, 40))
    image = result_image(planes, columns=("t", "label", "y_px", "x_px"))
    data = opened(write(AnnDataFile, tmp_path / "x.h5ad", planes, image))
    assert data.shape == (planes[0].instances, 0)
    assert data.obs_names[0] == "0-1"
