"""A share link to a job, as it is kept."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Share:
    """A link to a job. Times are Unix seconds.

    Attributes:
        creator: owner of the key that made it.
    """

    id: str
    job_id: str
    creator: str
    create_time_s: float
    expire_time_s: float
