"""What a result file is made from, and the one shape that all writers of results have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from kiosk.ports import Window

# Columns of equal length: name -> (instance,) values.
Table = Mapping[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class ResultImage:
    """The image whose results are written. Texts lose control characters: few formats take them.

    Attributes:
        stem: first part of the names of the results.
        sizes: lengths of the axes t, c, z, y, x; of t and z what there are results of.
        whole_sizes: those of the image, in which t and z of planes count; default: the same.
        channels: numbers of the channels that were segmented.
        columns: columns of the table of instances, in order.
        label_dtype: uint16, or uint32 where there are more instances.
        touched: window outside of which no plane has labels; None = not known.
        is_volume: labels are instances in 3-D, the same on all planes of a time point.
        about: name and version of the model, and what else belongs into metadata.
    """

    stem: str
    sizes: Mapping[str, int]
    dtype: np.dtype[Any]
    is_rgb: bool
    channel_names: Sequence[str]
    channels: Sequence[int]
    pixel_size_um: tuple[float, float] | None
    z_step_um: float | None
    frame_interval_s: float | None
    columns: Sequence[str]
    label_dtype: np.dtype[Any]
    is_volume: bool = False
    about: Mapping[str, str] | None = None
    touched: Window | None = None
    whole_sizes: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = tuple(_printable(name) for name in self.channel_names)
        object.__setattr__(self, "stem", _printable(self.stem))
        object.__setattr__(self, "channel_names", names)
        object.__setattr__(self, "whole_sizes", self.whole_sizes or self.sizes)
        if self.about is not None:
            about = {key: _printable(text) for key, text in self.about.items()}
            object.__setattr__(self, "about", about)


class LabelPlane(Protocol):
    """One finished plane: its labels and its pixels, in windows, so that it may be of any size.

    Attributes:
        t, z: where it is in the image.
        shape: (y, x).
        instances: how many instances are seen in it.
    """

    t: int
    z: int
    shape: tuple[int, int]
    instances: int

    def labels(self, window: Window | None = None) -> np.ndarray:
        """(y, x) uint32 labels of the plane, or of a window of it."""

    def pixels(self, channels: Sequence[int], window: Window | None = None) -> np.ndarray:
        """(len(channels), y, x) pixels in the dtype of the image."""

    def small_labels(self, longest_px: int) -> np.ndarray:
        """(y, x) uint32 labels shrunk by nearest pixel to at most `longest_px` along a side."""

    def small_pixels(self, channels: Sequence[int], longest_px: int) -> np.ndarray:
        """(len(channels), y, x) pixels, shrunk alike by averaging."""


class Writer:
    """One result file being written; runs in a thread.

    Planes come t outside and z inside. For each plane first `add_instances`, once or several
    times, then `add_plane`. Rows of the table come by plane, or, for volumes, by time point.
    A writer overrides what it needs. Memory must not grow with the plane or the number of planes,
    beyond a few bytes per instance.
    """

    def __init__(self, path: Path, image: ResultImage) -> None:
        self.path, self.image = path, image

    def add_instances(self, plane: LabelPlane, boxes: Table) -> None:
        """Some of the instances of a plane.

        Args:
            boxes: columns label, min_y_px, min_x_px, max_y_px, max_x_px (as in the table of
                instances), ascending by label. Their boxes lie near each other, so that reading
                one window around all of them is cheap.
        """

    def add_plane(self, plane: LabelPlane) -> None:
        """A whole plane; all its instances have come before."""

    def add_rows(self, table: Table) -> None:
        """Rows of the table of instances: the columns of `ResultImage.columns`."""

    def close(self) -> None:
        """Write what is left; the file is complete afterwards."""

    def discard(self) -> None:
        """Let go of open files after an error; what was written is thrown away."""


def _printable(text: str) -> str:
    """Without control characters and halves of letters (lone surrogates)."""
    return "".join(letter for letter in text if letter.isprintable())
