"""The numbers by which the queue decides; settings give the reasons."""

from __future__ import annotations

from dataclasses import dataclass

from kiosk.jobs import Job

# One turn in so many goes to a batch job first, so that interactive ones cannot starve them.
BATCH_TURN = 5
# A part waits no longer than this for its next attempt.
LONGEST_DELAY_S = 60.0
# When what a closed job left is removed, if its consumer did not do it, in leases: whoever still
# writes for it has then noticed.
LITTER_LEASES = 2.0
# The pace at which a model's pixels are done is that of the last minutes: after so long what was
# measured counts half. It is forgotten when it weighs less than so many seconds of a slot. The
# scripts of Redis have both numbers too.
PACE_HALF_LIFE_S = 300.0
LEAST_PACE_S = 0.001


@dataclass(frozen=True, kw_only=True)
class QueuePolicy:
    """How parts are handed out, tried again, and how many may wait; see `settings`.

    `owner_parts` 0 = as many as there are consumers for.
    """

    lease_s: float = 30.0
    attempts: int = 3
    outages: int = 20
    retry_delay_s: float = 1.0
    window_parts: int = 16
    owner_parts: int = 0
    interactive_jobs: int = 8
    open_jobs: int = 100_000
    owner_open_jobs: int = 50_000
    open_parts: int = 2_000_000
    retention_s: float = 7 * 24 * 3600.0
    preview_s: float = 3600.0

    def kept_s(self, job: Job) -> float:
        """How long a job is kept, counted from its submission."""
        return self.preview_s if job.is_preview else self.retention_s
