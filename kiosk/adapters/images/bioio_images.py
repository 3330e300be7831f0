"""Nikon ND2 and Leica LIF images by the plugins of bioio, plane by plane."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from kiosk.adapters.images.plain_images import RGB_NAMES, corrupt, out_of_range, unsupported
from kiosk.adapters.images.units import length_um, positive
from kiosk.adapters.images.vendor_files import (
    LocalFile,
    check_image,
    check_series,
    named,
    plugin,
    plugin_errors,
    series_note,
)
from kiosk.ports import ImageEntry, Window
from kiosk.reading import ReadOptions
from kiosk.settings import LimitSettings


@dataclass(frozen=True)
class Plugin:
    """A reader of bioio.

    Attributes:
        what: the format, for people.
        settings: of the reader.
        reads_parts: the reader itself reads single planes; else dask is asked to.
    """

    module: str
    what: str
    format: str
    settings: Mapping[str, Any]
    reads_parts: bool

    def reader(self, module: Any, path: str) -> Any:
        return module.Reader(path, **self.settings)


ND2 = Plugin("bioio_nd2", "Nikon ND2", "ND2", {}, reads_parts=True)
# Without the setting a whole z-stack would be read for each plane.
LIF = Plugin("bioio_lif", "Leica LIF", "LIF", {"chunk_dims": "YX"}, reads_parts=False)


def open_nd2(
    file: BinaryIO, file_bytes: int, file_name: str, limits: LimitSettings, options: ReadOptions
) -> BioioImage:
    """Open one position of an ND2. Raises InvalidRequest, TooLarge or NotFound."""
    return _open(ND2, file, file_bytes, file_name, limits, options.series)


def open_lif(
    file: BinaryIO, file_bytes: int, file_name: str, limits: LimitSettings, options: ReadOptions
) -> BioioImage:
    """Open one image of a LIF. Raises InvalidRequest, TooLarge or NotFound."""
    return _open(LIF, file, file_bytes, file_name, limits, options.series)


def _open(
    kind: Plugin,
    file: BinaryIO,
    file_bytes: int,
    file_name: str,
    limits: LimitSettings,
    series: int,
) -> BioioImage:
    module = plugin(kind.module, file_name, kind.what)
    local = LocalFile(file, file_bytes)
    try:
        with plugin_errors(file_name, "its headers cannot be read"):
            return BioioImage(kind, module, local, file_bytes, file_name, limits, series)
    except BaseException:
        local.discard()
        raise


def bioio_entries(
    kind: Plugin, file: BinaryIO, file_bytes: int, file_name: str
) -> list[ImageEntry]:
    """The images of a file. Raises as the openers do."""
    module = plugin(kind.module, file_name, kind.what)
    local = LocalFile(file, file_bytes)
    try:
        with plugin_errors(file_name, "its headers cannot be read"):
            scenes = list(kind.reader(module, local.path).scenes)
    finally:
        local.discard()
    return [ImageEntry(series=number, title=str(title)) for number, title in enumerate(scenes)]


class BioioImage:
    """`ports.ImageSource` over one scene that a plugin of bioio reads.

    The plugin has axes among T, C, Z, Y, X and S (samples of colour); M (tiles of a mosaic) is
    put together by the plugin.
    """

    def __init__(
        self,
        kind: Plugin,
        module: Any,
        local: LocalFile,
        file_bytes: int,
        file_name: str,
        limits: LimitSettings,
        series: int,
    ) -> None:
        self._kind, self._file_name, self._local = kind, file_name, local
        self._lock = threading.Lock()
        self._reader = kind.reader(module, local.path)
        titles = [str(title) for title in self._reader.scenes]
        check_series(series, len(titles), file_name)
        if kind is LIF:
            self._check_lif(series, file_bytes, limits)
        self._reader.set_scene(series)
        length = self._lengths()
        self._samples = length.pop("S", 1)
        self._is_colour = self._samples > 1
        channels = min(self._samples, 3) if self._is_colour else length["C"]
        self.sizes: Mapping[str, int] = {a.lower(): length[a] for a in "TCZYX"} | {"c": channels}
        self.dtype = np.dtype(self._reader.dtype).newbyteorder("=")
        if self.dtype.kind not in "buif" or (self._is_colour and length["C"] > 1):
            raise unsupported(file_name, "holds pixels of a rare kind; export it as OME-TIFF.")
        check_image(self.sizes, self.dtype.itemsize, file_bytes, file_name, limits)
        self.format, self.is_rgb = kind.format, self._samples >= 3
        self.axes = "".join(a for a in "TCZ" if length[a] > 1) + "YX"
        self.axes += "S" if self._is_colour else ""
        self.levels: Sequence[tuple[int, int]] = ((length["Y"], length["X"]),)
        names = None if self._is_colour else self._reader.channel_names
        self.channel_names: Sequence[str] = RGB_NAMES if self.is_rgb else named(names, channels)
        notes = series_note(series, titles)
        if self._samples == 4:
            notes.append("The alpha channel of the image is left out.")
        self._set_steps(notes)
        self.notes: Sequence[str] = tuple(notes)

    def _check_lif(self, series: int, file_bytes: int, limits: LimitSettings) -> None:
        """Check sizes in the headers: the plugin makes an object for every plane."""
        liffile = plugin("liffile", self._file_name, LIF.what)
        with liffile.LifFile(self._local.path) as lif:
            image = lif.images[series]
            found = {str(axis): int(n) for axis, n in dict(image.sizes).items()}
            sizes = {a.lower(): found.get(a, 1) for a in "TCZYX"}
            # Tiles of a mosaic are planes to be read, too.
            sizes["t"] *= found.get("M", 1)
            itemsize = np.dtype(image.dtype).itemsize
            check_image(sizes, itemsize, file_bytes, self._file_name, limits)

    def _lengths(self) -> dict[str, int]:
        """Axis -> length, of the whole mosaic where there is one."""
        dims = self._reader.dims
        length = dict(zip(dims.order, (int(n) for n in dims.shape), strict=True))
        self._mosaic: Any = None
        if length.pop("M", 1) > 1:
            self._mosaic = self._reader.mosaic_xarray_dask_data
            length |= {str(axis): int(n) for axis, n in self._mosaic.sizes.items()}
        if set(length) - set("TCZYXS") or not {"Y", "X"} <= set(length):
            raise unsupported(self._file_name, "has axes of a rare kind; export it as OME-TIFF.")
        return dict.fromkeys("TCZ", 1) | length

    def _set_steps(self, notes: list[str]) -> None:
        """Distances between neighbours; what is not calibrated has a size of exactly 1."""
        found = self._reader.physical_pixel_sizes
        y, x = (length_um(value, "µm") for value in (found.Y, found.X))
        self.pixel_size_um = None if y is None or x is None else (y, x)
        if self.pixel_size_um == (1.0, 1.0):
            notes.append("A pixel size of exactly 1 µm is taken as not calibrated.")
            self.pixel_size_um = None
        self.z_step_um = length_um(found.Z, "µm") if self.sizes["z"] > 1 else None
        self.frame_interval_s = self._interval_s() if self.sizes["t"] > 1 else None

    def _interval_s(self) -> float | None:
        interval = self._reader.time_interval
        if interval is None and self._kind is LIF:  # its reader gives the times instead
            times = self._reader.xarray_dask_data.coords.get("T")
            return None if times is None else positive(times[1] - times[0])
        return None if interval is None else positive(interval.total_seconds())

    def plane(
        self,
        t: int,
        z: int,
        channels: Sequence[int],
        window: Window | None = None,
        level: int = 0,
    ) -> np.ndarray:
        """(len(channels), y, x) pixels. Raises InvalidRequest when the pixels are damaged.

        The plugins read whole planes, of which a window is cut.
        """
        sizes = self.sizes
        if not (0 <= t < sizes["t"] and 0 <= z < sizes["z"] and level == 0) or any(
            not 0 <= c < sizes["c"] for c in channels
        ):
            raise out_of_range(self._file_name, t, z, channels)
        what = f"the pixels of t={t}, z={z} cannot be unpacked"
        with self._lock, plugin_errors(self._file_name, what):
            if self._is_colour:
                pixels = self._read("SYX", t, z, {"C": 0, "S": list(channels)})
            else:
                pixels = self._read("CYX", t, z, {"C": list(channels)})
        if pixels.shape != (len(channels), sizes["y"], sizes["x"]):
            raise corrupt(self._file_name, "its pixels do not fit its header")
        pixels = pixels.astype(self.dtype, copy=False)
        return np.ascontiguousarray(pixels if window is None else pixels[:, *window])

    def _read(self, order: str, t: int, z: int, more: Mapping[str, Any]) -> np.ndarray:
        where = {"T": t, "Z": z, **more}
        if self._mosaic is not None:
            lazy = self._mosaic.isel({a: where[a] for a in where if a in self._mosaic.sizes})
            lazy = lazy.transpose(*order).data
        elif self._kind.reads_parts:
            return np.asarray(self._reader.get_image_data(order, **where))
        else:
            lazy = self._reader.get_image_dask_data(order, **where)
        return np.asarray(lazy.compute(scheduler="synchronous"))

    def close(self) -> None:
        """Close the file too; the plugins keep none open."""
        with self._lock:
            self._local.close()
