"""The planes of an image, in the one order that parts, results and pictures share."""

from __future__ import annotations

from collections.abc import Mapping

from kiosk.request import Plane


def plane_places(sizes: Mapping[str, int], plane: Plane | None = None) -> list[tuple[int, int]]:
    """(t, z) of every plane of an image with these sizes, t outside and z inside.

    Args:
        plane: the only one that was asked for; None = all.
    """
    if plane is not None:
        return [(plane.t, plane.z)]
    return [(t, z) for t in range(sizes["t"]) for z in range(sizes["z"])]
