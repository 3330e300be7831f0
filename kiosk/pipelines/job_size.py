"""How large a job may be. A few bytes can claim any number of pixels, and each costs time."""

from __future__ import annotations

from collections.abc import Mapping

from kiosk.errors import TooLarge
from kiosk.request import SegmentationRequest

# Parts are listed in one message to the queue and kept there until the job is done. As many as the
# largest job has where the network sees it enlarged.
MOST_PARTS = 250_000


def work_px(sizes: Mapping[str, int], request: SegmentationRequest) -> int:
    """How many pixels a job has: those of its planes, or of its region in each.

    Args:
        sizes: of the image, as in `ports.ImageSource`.
        request: says which planes, and which part of each.
    """
    return _planes(sizes, request) * _plane_px(sizes, request)


def _planes(sizes: Mapping[str, int], request: SegmentationRequest) -> int:
    return 1 if request.plane is not None else sizes["t"] * sizes["z"]


def _plane_px(sizes: Mapping[str, int], request: SegmentationRequest) -> int:
    region = request.region
    if region is None:
        return sizes["y"] * sizes["x"]
    return (region.max_y_px - region.min_y_px) * (region.max_x_px - region.min_x_px)


def check_job_size(sizes: Mapping[str, int], request: SegmentationRequest, job_px: int) -> None:
    """Raise TooLarge for a job of more than `job_px` pixels.

    Args:
        sizes, request: as in `work_px`.
    """
    if work_px(sizes, request) > job_px:
        planes, plane_px = _planes(sizes, request), _plane_px(sizes, request)
        many = f"{planes} planes of " if planes > 1 else ""
        raise TooLarge(
            f"The job has {many}{plane_px} pixels and this kiosk takes at most {job_px} in one job;"
            " choose a region, split the image, or raise KIOSK_LIMITS__JOB_PX.",
            reason="JOB_TOO_LARGE",
        )


def check_parts(count: int) -> None:
    """Raise TooLarge for more parts than the queue takes."""
    if count > MOST_PARTS:
        raise TooLarge(
            f"The job would be cut into {count} parts and at most {MOST_PARTS} are taken; choose a"
            " region, split the image, or give a larger diameter_px.",
            reason="JOB_TOO_LARGE",
        )
