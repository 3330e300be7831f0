"""Zeiss CZI images by Zeiss's own library, pylibCZIrw: windows are read without the rest.

bioio-czi is left aside for its licence (GPL-3, and so is aicspylibczi, which it needs); it reads
by the same library.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO
from xml.etree import ElementTree

import numpy as np

from kiosk.adapters.images.plain_images import RGB_NAMES, corrupt, out_of_range, unsupported
from kiosk.adapters.images.units import length_um, time_s
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

# Grey and colour pixels; colours are stored as blue, green, red.
_GREY = {"Gray8": "u1", "Gray16": "u2", "Gray32Float": "f4"}
_COLOUR = {"Bgr24": "u1", "Bgr48": "u2", "Bgr96Float": "f4"}
# Axes besides t, z, c, y, x and scenes: only their first place is read.
_FURTHER = {"H": "phases", "I": "illuminations", "R": "rotations", "V": "views", "B": "blocks"}


def open_czi(
    file: BinaryIO, file_bytes: int, file_name: str, limits: LimitSettings, options: ReadOptions
) -> CziImage:
    """Open one scene of a CZI. Raises InvalidRequest, TooLarge or NotFound."""
    library = plugin("pylibCZIrw.czi", file_name, "Zeiss CZI")
    local = LocalFile(file, file_bytes)
    try:
        return CziImage(library, local, file_bytes, file_name, limits, options.series)
    except BaseException:
        local.discard()
        raise


def czi_entries(
    file: BinaryIO, file_bytes: int, file_name: str, limits: LimitSettings
) -> list[ImageEntry]:
    """The scenes of a CZI. Raises as `open_czi` does."""
    library = plugin("pylibCZIrw.czi", file_name, "Zeiss CZI")
    local = LocalFile(file, file_bytes)
    try:
        with plugin_errors(file_name, "its headers cannot be read"):
            reader = library.CziReader(local.path)
            try:
                titles = _Metadata(reader.raw_metadata).titles(_scenes(reader))
            finally:
                reader.close()
    finally:
        local.discard()
    return [ImageEntry(series=number, title=title) for number, title in enumerate(titles)]


def _scenes(reader: Any) -> list[tuple[int | None, Any]]:
    """(number in the file, rectangle) of each scene; a file without scenes is one image."""
    scenes = sorted(reader.scenes_bounding_rectangle_no_pyramid.items())
    return scenes or [(None, reader.total_bounding_rectangle_no_pyramid)]


class CziImage:
    """`ports.ImageSource` over one scene of a CZI; tiles of a mosaic are put together."""

    def __init__(
        self,
        library: Any,
        local: LocalFile,
        file_bytes: int,
        file_name: str,
        limits: LimitSettings,
        series: int,
    ) -> None:
        self._file_name, self._local = file_name, local
        self._lock = threading.Lock()
        with plugin_errors(file_name, "its headers cannot be read"):
            self._reader = library.CziReader(local.path)
        try:
            with plugin_errors(file_name, "its headers cannot be read"):
                self._set_up(file_bytes, limits, series)
        except BaseException:
            self._reader.close()
            raise

    def _set_up(self, file_bytes: int, limits: LimitSettings, series: int) -> None:
        scenes = _scenes(self._reader)
        check_series(series, len(scenes), self._file_name)
        self._scene, self._rectangle = scenes[series]
        box = self._reader.total_bounding_box_no_pyramid
        planes = {axis: int(box[axis.upper()][1]) for axis in "tzc"}
        # Kinds of pixels are asked for per channel, so their number is checked first.
        sizes = {**planes, "y": int(self._rectangle.h), "x": int(self._rectangle.w)}
        check_image(sizes, 1, file_bytes, self._file_name, limits)
        self._colour, self.dtype = self._pixel_type(planes["c"])
        sizes["c"] = 3 if self._colour else planes["c"]
        check_image(sizes, self.dtype.itemsize, file_bytes, self._file_name, limits)
        self.sizes: Mapping[str, int] = {axis: sizes[axis] for axis in "tczyx"}
        self.format, self.is_rgb = "CZI", self._colour
        self.axes = "".join(a for a in "TCZ" if planes[a.lower()] > 1) + "YX"
        self.axes += "S" if self._colour else ""
        self.levels: Sequence[tuple[int, int]] = ((sizes["y"], sizes["x"]),)
        metadata = _Metadata(self._reader.raw_metadata)
        self.channel_names: Sequence[str] = (
            RGB_NAMES if self._colour else named(metadata.channel_names(), sizes["c"])
        )
        self.pixel_size_um = metadata.pixel_size_um()
        self.z_step_um = metadata.distance_um("Z")
        self.frame_interval_s = metadata.frame_interval_s()
        notes = series_note(series, metadata.titles(scenes))
        for axis, what in _FURTHER.items():
            count = box.get(axis, (0, 1))[1]
            if count > 1:
                notes.append(f"The file has {count} {what}; only the first is read.")
        self.notes: Sequence[str] = tuple(notes)

    def _pixel_type(self, channels: int) -> tuple[bool, np.dtype[Any]]:
        """Whether pixels are colours, and the kind of number that holds all channels."""
        kinds = {self._reader.get_channel_pixel_type(c) for c in range(channels)}
        if kinds <= set(_GREY):
            return False, np.result_type(*(_GREY[kind] for kind in kinds))
        if channels == 1 and kinds <= set(_COLOUR):
            return True, np.dtype(_COLOUR[kinds.pop()])
        raise unsupported(
            self._file_name,
            f"mixes pixels of the kinds {', '.join(sorted(kinds))}; export it as OME-TIFF.",
        )

    def plane(
        self,
        t: int,
        z: int,
        channels: Sequence[int],
        window: Window | None = None,
        level: int = 0,
    ) -> np.ndarray:
        """(len(channels), y, x) pixels. Raises InvalidRequest when the pixels are damaged."""
        sizes = self.sizes
        if not (0 <= t < sizes["t"] and 0 <= z < sizes["z"] and level == 0) or any(
            not 0 <= c < sizes["c"] for c in channels
        ):
            raise out_of_range(self._file_name, t, z, channels)
        rows, columns = (
            range(sizes[axis])[part]
            for axis, part in zip("yx", window or (slice(None),) * 2, strict=True)
        )
        result = np.empty((len(channels), len(rows), len(columns)), self.dtype)
        if not result.size:
            return result
        stored = {0} if self._colour else set(channels)
        what = f"the pixels of t={t}, z={z} cannot be unpacked"
        with self._lock, plugin_errors(self._file_name, what):
            for channel in stored:
                pixels = self._read({"T": t, "Z": z, "C": channel}, rows, columns)
                for out, wanted in zip(result, channels, strict=True):
                    if self._colour:
                        out[...] = pixels[..., 2 - wanted]
                    elif wanted == channel:
                        out[...] = pixels[..., 0]
        return result

    def _read(self, plane: dict[str, int], rows: range, columns: range) -> np.ndarray:
        """(y, x, samples) pixels of one stored channel."""
        place = (
            self._rectangle.x + columns.start,
            self._rectangle.y + rows.start,
            len(columns),
            len(rows),
        )
        pixels: np.ndarray = self._reader.read(roi=place, plane=plane, scene=self._scene)
        if pixels.shape != (len(rows), len(columns), 3 if self._colour else 1):
            raise corrupt(self._file_name, "its pixels do not fit its header")
        return pixels

    def close(self) -> None:
        """Close the file too."""
        with self._lock:
            self._reader.close()
            self._local.close()


class _Metadata:
    """What the XML of a CZI says; what is missing or senseless is left out."""

    def __init__(self, xml: str) -> None:
        try:
            root = ElementTree.fromstring(xml)
        except ElementTree.ParseError:
            root = ElementTree.Element("ImageDocument")
        self._root = root

    def channel_names(self) -> list[str]:
        """Names as the program shows them, else those of the acquisition."""
        for place in ("DisplaySetting", "Information/Image/Dimensions"):
            channels = self._root.findall(f"Metadata/{place}/Channels/Channel")
            if channels and all(channel.get("Name") for channel in channels):
                return [channel.get("Name", "") for channel in channels]
        return []

    def distance_um(self, axis: str) -> float | None:
        for item in self._root.findall("Metadata/Scaling/Items/Distance"):
            if item.get("Id") == axis:
                return length_um(item.findtext("Value"), "meter")
        return None

    def pixel_size_um(self) -> tuple[float, float] | None:
        y, x = self.distance_um("Y"), self.distance_um("X")
        return None if y is None or x is None else (y, x)

    def frame_interval_s(self) -> float | None:
        path = "Metadata/Information/Image/Dimensions/T/Positions/Interval/Increment"
        return time_s(self._root.findtext(path), "second")

    def titles(self, scenes: Sequence[tuple[int | None, Any]]) -> list[str]:
        """Names of scenes; "scene 0" and so on where the file has none."""
        path = "Metadata/Information/Image/Dimensions/S/Scenes/Scene"
        names = {item.get("Index"): item.get("Name") for item in self._root.findall(path)}
        return [
            "" if number is None else names.get(str(number)) or f"scene {number}"
            for number, _ in scenes
        ]
