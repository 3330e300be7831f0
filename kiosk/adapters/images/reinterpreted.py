"""An image with axes and sizes of pixels as the caller gives them, in place of the file's.

Works over any `ports.ImageSource`. A source may have an attribute `stored`, the (role, length)
of every stored axis, slowest first. Roles are t, z, c, y, x, and s for the samples of a pixel,
which are the fastest channels; of several axes with one role the later is the faster. Without
the attribute, the roles follow from `axes` and `sizes`. An attribute `axes_guessed` that is
true says that the file does not name its axes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kiosk.adapters.images.plain_images import axes_do_not_fit, cut_to, out_of_range
from kiosk.ports import ImageSource, Window, channel_colors_of
from kiosk.reading import ReadOptions

# Sizes that differ by less are the same number, rounded.
_SAME = 0.005


def as_asked(source: ImageSource, file_name: str, options: ReadOptions) -> ImageSource:
    """The source as the caller wants it read: itself where the file says the same.

    Raises InvalidRequest where the axes do not fit; the source is left open then.
    """
    if options.axes and not _says_so(source, options.axes):
        source = OtherAxes(source, options.axes, file_name)
    if options.pixel_size_um or options.z_step_um:
        source = OtherSizes(source, options)
    return source


def _says_so(source: ImageSource, axes: str) -> bool:
    """Whether the source has these axes in this order, apart from axes of length 1."""
    if axes == source.axes or _is_guessed(source):
        return axes == source.axes
    known = [axis for axis in axes if axis in source.axes]
    others = {source.sizes.get(axis.lower(), 1) for axis in axes if axis not in source.axes}
    return "".join(known) == source.axes and others <= {1}


def _is_guessed(source: ImageSource) -> bool:
    return bool(getattr(source, "axes_guessed", False))


class _Wrapper:
    """Everything as the source has it."""

    def __init__(self, source: ImageSource) -> None:
        self._source = source
        self.format, self.dtype, self.axes = source.format, source.dtype, source.axes
        self.sizes: Mapping[str, int] = source.sizes
        self.is_rgb = source.is_rgb
        self.channel_names: Sequence[str] = source.channel_names
        self.channel_colors = channel_colors_of(source)
        self.pixel_size_um, self.z_step_um = source.pixel_size_um, source.z_step_um
        self.frame_interval_s = source.frame_interval_s
        self.levels: Sequence[tuple[int, int]] = source.levels
        self.notes: Sequence[str] = source.notes

    def plane(
        self,
        t: int,
        z: int,
        channels: Sequence[int],
        window: Window | None = None,
        level: int = 0,
    ) -> np.ndarray:
        """(len(channels), y, x) pixels. Raises InvalidRequest."""
        return self._source.plane(t, z, channels, window, level)

    def close(self) -> None:
        """Close the source."""
        self._source.close()


class OtherSizes(_Wrapper):
    """`ports.ImageSource` with the pixel size and z step that the caller gives."""

    def __init__(self, source: ImageSource, options: ReadOptions) -> None:
        super().__init__(source)
        notes = list(source.notes)
        if given := options.pixel_size_um:
            if any(_differ(value, given) for value in source.pixel_size_um or ()):
                says = " x ".join(dict.fromkeys(f"{v:.4g}" for v in source.pixel_size_um or ()))
                notes.append(f"The file says {says} µm per pixel; {given:g} µm is used as given.")
            self.pixel_size_um = (given, given)
        if given := options.z_step_um:
            if source.z_step_um and _differ(source.z_step_um, given):
                notes.append(
                    f"The file says {source.z_step_um:.4g} µm from plane to plane;"
                    f" {given:g} µm is used as given."
                )
            self.z_step_um = given
        self.notes = tuple(notes)


def _differ(one: float, other: float) -> bool:
    return abs(one - other) > _SAME * other


@dataclass(frozen=True)
class _Axis:
    """A stored axis; `step` is how far along t, z or c its next position is."""

    role: str
    length: int
    step: int = 1

    @property
    def runs_over(self) -> str:
        return "c" if self.role == "s" else self.role


class OtherAxes(_Wrapper):
    """`ports.ImageSource` whose stored axes are called otherwise than the file does."""

    def __init__(self, source: ImageSource, axes: str, file_name: str) -> None:
        super().__init__(source)
        self._file_name = file_name
        stored = _stored_axes(source)
        self._roles: dict[str, list[_Axis]] = {role: [] for role in "tzcyx"}
        for letter, axis in _matched(source, stored, axes, file_name):
            self._roles["c" if letter == "S" else letter.lower()].append(axis)
        known = math.prod(axis.length for axis in stored if axis.runs_over == "c")
        if source.sizes["c"] > known:  # colours of a palette are no axis of the file
            self._roles["c"].append(_Axis("c", source.sizes["c"] // known))
        self.sizes = {
            role: math.prod(axis.length for axis in held) for role, held in self._roles.items()
        }
        self.axes = axes
        self._is_turned = self._roles["y"][0].role == "x"
        if self._is_turned:
            self.levels = [(x, y) for y, x in source.levels]
            size = source.pixel_size_um
            self.pixel_size_um = (size[1], size[0]) if size else None
        if not self._is_still("c"):
            self.is_rgb = False
            self.channel_names = [f"channel {index}" for index in range(self.sizes["c"])]
            self.channel_colors = ("",) * self.sizes["c"]
        if not self._is_still("z"):
            self.z_step_um = None
        if not self._is_still("t"):
            self.frame_interval_s = None

    def _is_still(self, role: str) -> bool:
        """Whether t, z or c is what it was."""
        same = all(axis.runs_over == role for axis in self._roles[role])
        return same and self.sizes[role] == self._source.sizes[role]

    def plane(
        self,
        t: int,
        z: int,
        channels: Sequence[int],
        window: Window | None = None,
        level: int = 0,
    ) -> np.ndarray:
        """(len(channels), y, x) pixels. Raises InvalidRequest."""
        asked = [("t", t), ("z", z), *(("c", channel) for channel in channels)]
        if not 0 <= level < len(self.levels) or any(
            not 0 <= position < self.sizes[role] for role, position in asked
        ):
            raise out_of_range(self._file_name, t, z, channels, level)
        rows, columns = cut_to(window, self.levels[level])
        part = (columns, rows) if self._is_turned else (rows, columns)
        shape = (len(channels), rows.stop - rows.start, columns.stop - columns.start)
        result = np.empty(shape, self.dtype)
        groups: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for index, channel in enumerate(channels):
            there = self._place(t, z, channel)
            groups.setdefault((there["t"], there["z"]), []).append((index, there["c"]))
        for (there_t, there_z), picks in groups.items():
            pixels = self._source.plane(there_t, there_z, [c for _, c in picks], part, level)
            pixels = pixels.swapaxes(1, 2) if self._is_turned else pixels
            for (index, _), pixel_plane in zip(picks, pixels, strict=True):
                result[index] = pixel_plane
        return result

    def _place(self, t: int, z: int, c: int) -> dict[str, int]:
        """t, z and c in the source."""
        there = {"t": 0, "z": 0, "c": 0}
        for role, index in (("t", t), ("z", z), ("c", c)):
            rest = index
            for axis in reversed(self._roles[role]):
                rest, position = divmod(rest, axis.length)
                there[axis.runs_over] += position * axis.step
        return there


def _stored_axes(source: ImageSource) -> list[_Axis]:
    """The axes of the file, slowest first."""
    stored: Sequence[tuple[str, int]] | None = getattr(source, "stored", None)
    if stored is None:
        letters = source.axes.replace("S", "") if "C" in source.axes else source.axes
        roles = [letter.lower() for letter in letters]
        stored = [(role, source.sizes["c" if role == "s" else role]) for role in roles]
    axes: list[_Axis] = []
    for index, (role, length) in enumerate(stored):
        over = _Axis(role, length).runs_over
        step = math.prod(n for r, n in stored[index + 1 :] if _Axis(r, n).runs_over == over)
        axes.append(_Axis(role, length, step))
    return axes


def _matched(
    source: ImageSource, stored: Sequence[_Axis], letters: str, file_name: str
) -> list[tuple[str, _Axis]]:
    """The letter of every axis. Raises InvalidRequest where they do not fit.

    Axes of length 1 need no letter, nor do the samples of a pixel; letters of axes that the
    file does not have stand for axes of length 1.
    """
    long = [axis for axis in stored if axis.length > 1 or axis.role in "yx"]
    pixels = [axis for axis in long if axis.role != "s"]
    samples = [("S", axis) for axis in long if axis.role == "s"]
    ways: list[tuple[str, Sequence[_Axis], list[tuple[str, _Axis]]]] = [
        (letters, stored, []),
        (letters, long, []),
        (letters, pixels, samples),
    ]
    if not _is_guessed(source):
        roles = "".join(axis.role for axis in pixels).upper()
        known = "".join(letter for letter in letters if letter in roles)
        ways += [(known, pixels, samples)] if known == roles else []
    for names, held, rest in ways:
        if len(names) == len(held):
            pairs = list(zip(names, held, strict=True))
            if all((letter in "YX") == (axis.role in "yx") for letter, axis in pairs):
                return pairs + rest
    shape = [axis.length for axis in stored]
    raise axes_do_not_fit(file_name, letters, shape, source.axes)
