"""The label image of grown instances, read back by tifffile."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from result_makers import discs, labelled, result_image, stack, write

from kiosk.exports import grown_tiff, label_tiff
from kiosk.exports.grown_tiff import GrownTiff, growth_px
from kiosk.exports.label_tiff import LabelTiff
from kiosk.imaging.finishing import expand
from kiosk.testing import MemoryPlane

HALF_UM = (0.5, 0.5)


@pytest.mark.parametrize(
    ("pixel_size_um", "growth"),
    [(None, 8), ((0.5, 0.5), 8), ((1.0, 1.0), 4), ((0.25, 1.0), 8), ((0.001, 0.001), 200)],
)
def test_growth_in_pixels(pixel_size_um: tuple[float, float] | None, growth: float) -> None:
    assert growth_px(pixel_size_um) == pytest.approx(growth)


def test_background_goes_to_the_nearest_instance_and_numbers_stay(tmp_path: Path) -> None:
    plane = MemoryPlane(labelled("......7...3........").astype(np.uint32))
    image = result_image([plane], pixel_size_um=(1.0, 2.0))
    found = tifffile.imread(write(GrownTiff, tmp_path / "x.tif", [plane], image))
    # Within 4 um / 1.41 um = 2.8 px.
    np.testing.assert_array_equal(found, labelled("....777773333......"))


@pytest.mark.parametrize(("t", "z"), [(1, 1), (2, 3)])
def test_each_plane_is_grown_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, t: int, z: int
) -> None:
    """However few columns are held at a time."""
    planes = stack(discs(60, 150, pitch=40), t=t, z=z)
    image = result_image(planes, pixel_size_um=HALF_UM)
    monkeypatch.setattr(grown_tiff, "PIECE_PX", 16)
    path = write(GrownTiff, tmp_path / "x.tif", planes, image)
    found = tifffile.imread(path).reshape(t, z, 60, 150)
    for plane in planes:
        nuclei, cells = plane.labels(), found[plane.t, plane.z]
        expected = expand(nuclei, 8)
        np.testing.assert_array_equal(cells > 0, expected > 0)
        np.testing.assert_array_equal(cells[nuclei > 0], nuclei[nuclei > 0])
        # What is as far from one as from another may go to either.
        assert (cells != expected).mean() < 0.01
    with tifffile.TiffFile(path) as tif:
        assert 'Name="grown labels of channel 0"' in (tif.ome_metadata or "")


def test_large_planes_and_regions_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Instances grow out of the region; all resolutions show them."""
    monkeypatch.setattr(label_tiff, "LARGE_PX", 90)
    monkeypatch.setattr(label_tiff, "SMALLEST_PX", 60)
    monkeypatch.setattr(label_tiff, "TILE_PX", 32)
    labels = np.zeros((120, 140), np.uint32)
    labels[40:60, 50:70] = discs(20, 20)
    planes = [MemoryPlane(labels)]
    region = slice(40, 60), slice(50, 70)
    for known in (None, region):
        image = result_image(planes, touched=known)
        path = write(GrownTiff, tmp_path / "x.tif", planes, image)
        with tifffile.TiffFile(path) as tif:
            full, half = (level.asarray() for level in tif.series[0].levels[:2])
        np.testing.assert_array_equal(full > 0, expand(labels, 8) > 0)
        np.testing.assert_array_equal(half, full[::2, ::2])


def test_two_files_of_a_job_are_told_apart(tmp_path: Path) -> None:
    planes = stack(discs(40, 30))
    image = result_image(planes, about={"job": "j"})
    names = set()
    for writer in (LabelTiff, GrownTiff):
        with tifffile.TiffFile(write(writer, tmp_path / "x.tif", planes, image)) as tif:
            names.add((tif.ome_metadata or "").partition('UUID="')[2][:50])
    assert len(names) == 2
