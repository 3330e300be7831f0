"""What comes out of a tracking, as arrays: for the client library."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from kiosk.job_files import JobFiles


class Tracking(JobFiles):
    """The results of one tracking: `labels` (t, y, x), in which a cell keeps its number."""

    @cached_property
    def tracks(self) -> dict[str, np.ndarray]:
        """One array per column, one entry per cell and frame; see docs/tracking.md."""
        return self._table("_tracks.csv")

    @cached_property
    def summary(self) -> dict[str, np.ndarray]:
        """One array per column, one entry per track."""
        return self._table("_track_summary.csv")

    @cached_property
    def doubtful_links(self) -> dict[str, np.ndarray]:
        """One array per column, one entry per link to look at, the most doubtful first."""
        return self._table("_doubtful_links.csv")
