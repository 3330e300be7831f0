"""The QC sheet: one page that shows whether a result can be trusted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kiosk.exports.qc_findings import Gathered
from kiosk.exports.qc_page import PICTURE_PX, qc_page
from kiosk.exports.writer import LabelPlane, ResultImage, Table, Writer
from kiosk.imaging.plane_quality import plane_quality
from kiosk.imaging.rendering import display_plane

# What is taken for the size of an instance: the first of these that the table has.
SIZES = ("volume_um3", "volume_px", "area_um2", "area_px")
# Planes up to this many pixels are looked at as a whole, larger ones in windows on a grid.
WHOLE_PIXELS = 16 * 2**20
WINDOW_PX, WINDOWS_ALONG = 640, 6
DPI = 150


class QcSheet(Writer):
    """A page of A4, landscape, as PNG."""

    def __init__(self, path: Path, image: ResultImage) -> None:
        super().__init__(path, image)
        size = next((name for name in SIZES if name in image.columns), "")
        self._gathered = Gathered(image=image, size=size)
        self._means = _means_of_segmented_channel(image)
        self._left = image.sizes["t"] * image.sizes["z"] // 2

    def add_plane(self, plane: LabelPlane) -> None:
        gathered, channels = self._gathered, self.image.channels
        gathered.places.append((plane.t, plane.z))
        gathered.counts.append(plane.instances)
        pieces = (plane.pixels(channels, window) for window in _windows(plane.shape))
        gathered.quality.append(plane_quality(pieces))
        if self._left == 0:
            pixels = plane.small_pixels(channels, PICTURE_PX)
            gathered.picture = display_plane(pixels, PICTURE_PX)
            gathered.labels = plane.small_labels(PICTURE_PX)
            gathered.shown = len(gathered.counts) - 1
        self._left -= 1

    def add_rows(self, table: Table) -> None:
        gathered = self._gathered
        gathered.instances += len(table["label"])
        if gathered.size:
            gathered.sizes.append(np.asarray(table[gathered.size]).astype(np.float32))
        if self._means:
            gathered.means.append(np.asarray(table[self._means]).astype(np.float32))
        if "touches_border" in table:
            gathered.cut += int(np.count_nonzero(table["touches_border"]))

    def close(self) -> None:
        qc_page(self._gathered).save(self.path, format="PNG", dpi=(DPI, DPI))


class QcPdf(QcSheet):
    """The same page as PDF."""

    def close(self) -> None:
        page = qc_page(self._gathered)
        page.save(self.path, format="PDF", resolution=DPI, quality=92, title=self.image.stem)


def _means_of_segmented_channel(image: ResultImage) -> str:
    """Name of its column, "" where the table has none for each channel."""
    names = [name for name in image.columns if name.startswith("mean_intensity")]
    return names[image.channels[0]] if len(names) == len(image.channel_names) else ""


def _windows(shape: tuple[int, int]) -> Iterator[tuple[slice, slice]]:
    """The whole plane in bands, or windows spread evenly over a large one."""
    height, width = shape
    if height * width > WHOLE_PIXELS:
        for top in np.linspace(0, max(0, height - WINDOW_PX), WINDOWS_ALONG).astype(int).tolist():
            for left in (
                np.linspace(0, max(0, width - WINDOW_PX), WINDOWS_ALONG).astype(int).tolist()
            ):
                rows = slice(top, min(top + WINDOW_PX, height))
                yield rows, slice(left, min(left + WINDOW_PX, width))
        return
    for top in range(0, height, WINDOW_PX):
        yield slice(top, min(top + WINDOW_PX, height)), slice(0, width)
