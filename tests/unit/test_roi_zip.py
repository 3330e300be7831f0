"""ROIs for ImageJ, read back by roifile and filled again."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
import roifile
from result_makers import BOX, discs, labelled, result_image, stack, write

from kiosk.exports.roi_zip import RoiZip
from kiosk.exports.writer import ResultImage
from kiosk.testing import MemoryPlane


def rois_of(path: Path) -> dict[str, roifile.ImagejRoi]:
    """Read from a file named as the format's results are."""
    named = path.with_name("cells_RoiSet.zip")
    named.write_bytes(path.read_bytes())
    rois = roifile.roiread(named)
    found = {roi.name: roi for roi in (rois if isinstance(rois, list) else [rois])}
    assert list(found) == [name.removesuffix(".roi") for name in zipfile.ZipFile(path).namelist()]
    return found


def filled(roi: roifile.ImagejRoi, shape: tuple[int, int]) -> np.ndarray:
    """Pixels whose centre has an odd number of edges to its left."""
    crossings = np.zeros((shape[0], shape[1] + 1), np.int64)
    for ring in roi.coordinates(multi=True):
        for (x, y), (other_x, other_y) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
            if x == other_x:
                crossings[int(min(y, other_y)) : int(max(y, other_y)), int(x)] += 1
    return np.asarray(np.cumsum(crossings, axis=1)[:, :-1] % 2 == 1)


def assert_same(rois: dict[str, roifile.ImagejRoi], plane: MemoryPlane) -> None:
    labels = plane.labels()
    assert {int(name.split("-")[-1]) for name in rois} == set(np.unique(labels)) - {0}
    for name, roi in rois.items():
        mask = labels == int(name.split("-")[-1])
        np.testing.assert_array_equal(filled(roi, plane.shape), mask)
        y, x = np.nonzero(mask)
        assert (roi.top, roi.left) == (y.min(), x.min())
        assert (roi.bottom, roi.right) == (y.max() + 1, x.max() + 1)


def test_filled_rois_are_the_instances(tmp_path: Path) -> None:
    plane = MemoryPlane(discs(70, 90))
    rois = rois_of(write(RoiZip, tmp_path / "x", [plane], result_image([plane]), at_once=7))
    assert_same(rois, plane)
    assert list(rois) == sorted(rois)
    for roi in rois.values():
        assert roi.roitype == roifile.ROI_TYPE.TRACED
        assert (roi.c_position, roi.z_position, roi.t_position, roi.position) == (0, 0, 0, 0)


def test_holes_pieces_and_single_pixels(tmp_path: Path) -> None:
    plane = MemoryPlane(labelled("111.22. 1.1.... 111.222 ......2 3...... ....... 4444444"))
    rois = rois_of(write(RoiZip, tmp_path / "x", [plane], result_image([plane])))
    assert_same(rois, plane)
    kinds = {int(name): roi.composite for name, roi in rois.items()}
    assert kinds == {1: True, 2: True, 3: False, 4: False}


@pytest.mark.parametrize(
    ("t", "z", "channels", "position"),
    [(3, 1, 1, True), (1, 3, 1, True), (2, 3, 1, False), (2, 1, 2, False), (2, 2, 3, False)],
)
def test_positions_in_stacks(tmp_path: Path, t: int, z: int, channels: int, position: bool) -> None:
    planes = stack(discs(40, 50), t=t, z=z, channels=channels)
    rois = rois_of(write(RoiZip, tmp_path / "x", planes, result_image(planes)))
    for plane in planes:
        number = (plane.t * z + plane.z) * channels + 1
        here = {name: roi for name, roi in rois.items() if name.startswith(f"{number:04d}-")}
        assert_same(here, plane)
        for name, roi in here.items():
            assert (roi.t_position, roi.z_position) == (plane.t + 1, plane.z + 1)
            assert roi.c_position == 0
            assert roi.position == (number if position else 0)
            assert name[9] == "-"
            assert len(name) >= 14
    assert sum(plane.instances for plane in planes) == len(rois)


class FarAway(MemoryPlane):
    """A small plane of labels seen at the far corner of a slide."""

    offset = 0

    def labels(self, window: tuple[slice, slice] | None = None) -> np.ndarray:
        assert window is not None
        rows, columns = (slice(s.start - self.offset, s.stop - self.offset) for s in window)
        return super().labels((rows, columns))


@pytest.mark.parametrize("offset", [30_000, 40_000, 60_000, 70_000, 1_000_000])
def test_far_from_the_first_pixel(tmp_path: Path, offset: int) -> None:
    plane = FarAway(labelled("111.22. 1.1.... 111.222 ......2 3......"))
    plane.offset = offset
    image = ResultImage(
        **vars(result_image([plane])) | {"sizes": {"t": 1, "c": 1, "z": 1, "y": 2_000_000, "x": 1}}
    )
    boxes = {"label": [1, 2, 3], "min_y_px": [0, 0, 4], "max_y_px": [3, 4, 5]}
    boxes |= {"min_x_px": [0, 4, 0], "max_x_px": [3, 7, 1]}
    table = {name: np.array(boxes[name]) + (offset if name != "label" else 0) for name in BOX}
    writer = RoiZip(tmp_path / "x", image)
    writer.add_instances(plane, table)
    writer.close()
    for name, roi in rois_of(tmp_path / "x").items():
        for ring in roi.coordinates(multi=True):
            assert (ring >= offset).all()
            assert (ring <= offset + 7).all()
        assert name in ("000001", "000002", "000003")


@pytest.mark.slow
def test_more_entries_than_a_plain_zip_holds(tmp_path: Path) -> None:
    labels = np.zeros((514, 514), np.uint32)
    labels[::2, ::2] = np.arange(1, 257 * 257 + 1).reshape(257, 257)
    plane = MemoryPlane(labels)
    image = result_image([plane], label_dtype=np.dtype(np.uint32))
    path = write(RoiZip, tmp_path / "x.zip", [plane], image, at_once=10_000)
    with zipfile.ZipFile(path) as file:
        assert len(file.namelist()) == 257 * 257 > 65_535
        roi = roifile.ImagejRoi.frombytes(file.read("066049.roi"))
    assert roi.coordinates().tolist() == [[512, 512], [513, 512], [513, 513], [512, 513]]


def test_no_instances(tmp_path: Path) -> None:
    plane = MemoryPlane(np.zeros((9, 9), np.uint32))
    path = write(RoiZip, tmp_path / "x.zip", [plane], result_image([plane]))
    assert zipfile.ZipFile(path).namelist() == []
