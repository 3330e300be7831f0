"""A movie of which some frames have failed: they are empty, and black where they cannot be read."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from kiosk.errors import InvalidRequest, PermanentError
from kiosk.ports import ImageSource, Window


class LenientSource:
    """`ports.ImageSource` of a movie; frames that have failed before may fail again, unheard.

    Args:
        faulty: their numbers.
    """

    def __init__(self, source: ImageSource, faulty: Collection[int]) -> None:
        self._source, self._faulty = source, faulty
        self.format, self.sizes, self.axes = source.format, source.sizes, source.axes
        self.dtype, self.is_rgb, self.levels = source.dtype, source.is_rgb, source.levels
        self.channel_names, self.notes = source.channel_names, source.notes
        self.pixel_size_um, self.z_step_um = source.pixel_size_um, source.z_step_um
        self.frame_interval_s = source.frame_interval_s

    def plane(
        self,
        t: int,
        z: int,
        channels: Sequence[int],
        window: Window | None = None,
        level: int = 0,
    ) -> np.ndarray:
        """(channel, y, x) as `ImageSource.plane`."""
        try:
            return self._source.plane(t, z, channels, window, level)
        except (InvalidRequest, PermanentError):
            if t not in self._faulty:
                raise
        height, width = self.levels[level]
        if window is not None:
            height, width = (
                len(range(*part.indices(n)))
                for part, n in zip(window, (height, width), strict=True)
            )
        return np.zeros((len(channels), height, width), self.dtype)

    def close(self) -> None:
        self._source.close()
