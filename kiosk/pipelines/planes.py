"""The planes of an image, in the one order that parts, results and pictures share."""

from __future__ import annotations

from collections.abc import Mapping


def plane_places(sizes: Mapping[str, int]) -> list[tuple[int, int]]:
    """(t, z) of every plane of an image with these sizes, t outside and z inside."""
    return [(t, z) for t in range(sizes["t"]) for z in range(sizes["z"])]
