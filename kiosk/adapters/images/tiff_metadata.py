"""What a TIFF says besides its pixels: channel names, pixel size, frame interval, colours."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

import numpy as np

from kiosk.adapters.images.channel_colors import of_ome, of_tables

_UNITS_UM = {"pm": 1e-6, "å": 1e-4, "nm": 1e-3, "µm": 1.0, "um": 1.0, "micron": 1.0}
_UNITS_UM |= {"microns": 1.0, "micrometer": 1.0, "micrometers": 1.0, "micrometre": 1.0}
_UNITS_UM |= {"mm": 1e3, "cm": 1e4, "m": 1e6, "inch": 25400.0, "inches": 25400.0, "in": 25400.0}
_UNITS_S = {"ns": 1e-9, "µs": 1e-6, "us": 1e-6, "ms": 1e-3, "s": 1.0, "sec": 1.0, "min": 60.0}
_UNITS_S |= {"h": 3600.0, "hr": 3600.0, "hour": 3600.0, "d": 86400.0}
# Where only the resolution tag speaks: sizes that a light microscope gives, with wide margins.
# Resolutions for screen and print (72 to 1200 dpi) are 21 µm and more.
_PLAUSIBLE_UM = (0.005, 20.0)
# Where the file names a unit of its own: anything but nonsense, up to dissecting microscopes.
_POSSIBLE_UM = (1e-4, 1e4)
_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT = 282, 283, 296
_INCH, _CENTIMETRE = 2, 3
_PALETTE = 3
# Longest name of a channel that is taken over.
NAME_CHARACTERS = 200
# What ImageJ and others write for images that are not calibrated.
_NO_UNITS = {"", "pixel", "pixels", "px", "none", "null"}


class TiffMetadata:
    """Metadata of one series of an open tifffile.TiffFile; what is missing or senseless is None.

    `notes` gets a sentence for what is there and cannot be used.
    """

    def __init__(self, tif: Any, number: int, notes: list[str]) -> None:
        self._page, self._notes = tif.series[number].keyframe, notes
        # Thumbnails, labels and macros of a slide repeat the sizes of the slide itself.
        self._slide = str(tif.pages.first.description) if tif.is_svs else ""
        self._is_slide = tif.is_svs and number == 0
        self._imagej: Mapping[str, Any] = (tif.imagej_metadata or {}) if tif.is_imagej else {}
        self._pixels = _ome_pixels(tif, number) if tif.is_ome else None

    def channel_names(self, count: int) -> tuple[str, ...]:
        """One name per channel; "channel 0" and so on where the file has none."""
        names: list[str] = []
        if self._pixels is not None:
            channels = (e for e in self._pixels if e.tag.endswith("}Channel"))
            names = [channel.get("Name", "").strip()[:NAME_CHARACTERS] for channel in channels]
        elif self._imagej and count > 1:  # labels of single planes are names of files
            names = self._imagej_labels(count)
        if len(names) != count:
            names = [""] * count
        return tuple(name or f"channel {index}" for index, name in enumerate(names))

    def channel_colors(self, count: int) -> tuple[str, ...]:
        """One per channel, as in `channel_colors`."""
        if self._pixels is None:
            return of_tables(self._imagej.get("LUTs"), count)
        channels = [e for e in self._pixels if e.tag.endswith("}Channel")]
        colours = [of_ome(channel.get("Color")) for channel in channels]
        return tuple(colours) if len(colours) == count else ("",) * count

    def _imagej_labels(self, count: int) -> list[str]:
        """Labels of slices that are names of channels: the same label at every t and z.

        In ImageJ the channel is the fastest of the stack axes, and labels follow the slices.
        """
        labels = self._imagej.get("Labels", [])
        labels = [
            str(x).strip()[:NAME_CHARACTERS]
            for x in (labels if isinstance(labels, list) else [labels])
        ]
        if not labels or len(labels) % count or self._imagej.get("order", "czt") != "czt":
            return []
        same = all(len(set(labels[channel::count])) == 1 for channel in range(count))
        return labels[:count] if same else []

    def pixel_size_um(self) -> tuple[float, float] | None:
        """(y, x), or None."""
        if self._pixels is not None:
            y, x = self._ome_quantity("PhysicalSizeY"), self._ome_quantity("PhysicalSizeX")
            return self._possible(y or x, x or y)
        if self._slide:  # Aperio: micrometres per pixel
            mpp = re.search(r"\|\s*MPP\s*=\s*([0-9.]+)", self._slide) if self._is_slide else None
            return self._possible(_number(mpp[1]), _number(mpp[1])) if mpp else None
        tags = self._page.tags
        y, x = (_pixel_length(tags.valueof(code)) for code in (_Y_RESOLUTION, _X_RESOLUTION))
        if "unit" in self._imagej:
            scale_x, scale_y = self._imagej_scale(), self._imagej_scale("yunit")
            if scale_x is None or scale_y is None or x is None:
                return None
            return self._possible((y or x) * scale_y, x * scale_x)
        unit = tags.valueof(_RESOLUTION_UNIT, _INCH)
        scale = {_INCH: 25400.0, _CENTIMETRE: 10000.0}.get(unit)
        if self._imagej or scale is None or x is None or y is None:
            return None
        return _size(y * scale, x * scale, _PLAUSIBLE_UM)

    def z_step_um(self) -> float | None:
        """Distance of planes along z, or None."""
        if self._pixels is not None:
            step = self._ome_quantity("PhysicalSizeZ")
        else:
            spacing, scale = self._imagej.get("spacing"), self._imagej_scale("zunit")
            distance = _number(abs(spacing)) if isinstance(spacing, (int, float)) else None
            step = distance * scale if distance and scale else None
        return step if step and _POSSIBLE_UM[0] <= step <= _POSSIBLE_UM[1] else None

    def frame_interval_s(self) -> float | None:
        """Seconds from one time point to the next, or None."""
        if self._pixels is not None:
            seconds = _number(self._pixels.get("TimeIncrement"))
            unit = _UNITS_S.get(_unit(self._pixels.get("TimeIncrementUnit", "s")))
        else:
            seconds = _number(self._imagej.get("finterval"))
            unit = _UNITS_S.get(_unit(self._imagej.get("tunit", "s")))
        return seconds * unit if seconds and unit else None

    def _possible(self, y: float | None, x: float | None) -> tuple[float, float] | None:
        """(y, x) where the file names a unit, or None and a note for nonsense."""
        if y is None or x is None:
            return None
        size = _size(y, x, _POSSIBLE_UM)
        if size is None:
            self._notes.append(
                f"The file says pixels of {y:.4g} x {x:.4g} µm, which cannot be; it was not used."
            )
        return size

    def _imagej_scale(self, key: str = "unit") -> float | None:
        """Micrometres per unit of ImageJ; an axis without a unit of its own has that of x."""
        unit = _unit(self._imagej.get(key, self._imagej.get("unit", "")))
        scale = _UNITS_UM.get(unit)
        if scale is None and unit not in _NO_UNITS:
            self._notes.append(
                f"The file gives lengths in '{unit[:40]}', which is no known unit of length;"
                " they were not used."
            )
        return scale

    def _ome_quantity(self, name: str) -> float | None:
        assert self._pixels is not None
        value = _number(self._pixels.get(name))
        scale = _UNITS_UM.get(_unit(self._pixels.get(name + "Unit", "µm")))
        return value * scale if value and scale else None


def colour_table(keyframe: Any, is_imagej: bool, notes: list[str]) -> np.ndarray | None:
    """(3, n) uint8 or uint16 colours of a palette image, or None where values are intensities.

    ImageJ and microscopes store a display colour ("green", "fire") as a palette; there the
    values are what was measured, so a palette that only grows brighter is not applied.
    """
    if int(keyframe.photometric) != _PALETTE or keyframe.dtype.kind not in "bu":
        return None
    table = keyframe.colormap
    if table is None or table.ndim != 2 or table.shape[0] != 3 or table.shape[1] < 2:
        return None
    brightness = table.sum(axis=0, dtype=np.int64)
    if is_imagej or (np.diff(brightness) >= 0).all() or (np.diff(brightness) <= 0).all():
        notes.append("The colour palette of the file is not applied; values are intensities.")
        return None
    notes.append("The colour palette of the image is expanded to red, green and blue.")
    if table.max() < 256:  # some writers give 8-bit colours
        return np.asarray(table, np.uint8)
    if (table % 257 == 0).all() or (table % 256 == 0).all():  # 8-bit colours, scaled
        return np.asarray(table >> 8, np.uint8)
    return np.asarray(table, np.uint16)


def _ome_pixels(tif: Any, number: int) -> ElementTree.Element | None:
    """The Pixels element of the OME-XML that describes a series.

    tifffile leaves out images without data in this file, so the images are gone through in step
    with the series, by name and size. Where the series are not those of OME, the first counts.
    """
    try:
        root = ElementTree.fromstring(tif.ome_metadata or "")
    except ElementTree.ParseError:
        return None
    images = [
        (element, pixels)
        for element in root
        if element.tag.endswith("}Image")
        for pixels in element
        if pixels.tag.endswith("}Pixels")
    ]
    if not images or tif.series[number].kind != "ome":
        return images[0][1] if images and number == 0 else None
    if len(images) == len(tif.series):
        return images[number][1]
    rest = iter(images)
    found = None
    for other in tif.series[: number + 1]:
        found = next((pixels for image, pixels in rest if _describes(image, pixels, other)), None)
    return found


def _describes(image: ElementTree.Element, pixels: ElementTree.Element, series: Any) -> bool:
    size = (str(series.keyframe.imagewidth), str(series.keyframe.imagelength))
    named = image.get("Name") in (series.name, None)
    return named and (pixels.get("SizeX"), pixels.get("SizeY")) == size


def _unit(text: Any) -> str:
    r"""A unit as it stands in the tables.

    ImageJ writes µ as \u00B5 or \u03BC, others as Greek mu; scripts leave brackets around units.
    """
    plain = re.sub(r"\\u([0-9A-Fa-f]{4})", lambda code: chr(int(code[1], 16)), str(text))
    return re.sub(r"^[^\w]+|[^\w]+$", "", plain).replace("μ", "µ").lower()


def _number(value: Any) -> float | None:
    """A positive, finite number, or None."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and number > 0 else None


def _pixel_length(resolution: Any) -> float | None:
    """Units per pixel from a resolution tag (numerator, denominator) in pixels per unit."""
    try:
        numerator, denominator = resolution
        return _number(denominator / numerator)
    except (TypeError, ValueError, ZeroDivisionError):
        return None


def _size(
    y: float | None, x: float | None, bounds: tuple[float, float]
) -> tuple[float, float] | None:
    if y is None or x is None or not all(bounds[0] <= v <= bounds[1] for v in (y, x)):
        return None
    return (y, x)
