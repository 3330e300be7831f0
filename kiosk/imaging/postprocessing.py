"""From the maps of a network to instances. `ROUTES` is the registry: head -> function of maps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kiosk.imaging.boundaries import split_at_boundaries
from kiosk.imaging.classes import label_classes
from kiosk.imaging.flows import follow_flows
from kiosk.imaging.instances import find_instances
from kiosk.imaging.stars import draw_stars

Maps = Mapping[str, np.ndarray]

ROUTES: dict[str, Callable[[Maps, Any], np.ndarray]] = {
    "distance": lambda maps, p: find_instances(maps["foreground"], maps["distance"], p),
    "boundary": lambda maps, p: split_at_boundaries(maps["foreground"], maps["boundary"], p),
    "stars": lambda maps, p: draw_stars(maps["foreground"], maps["rays"], p),
    "flows": lambda maps, p: follow_flows(maps["foreground"], maps["flows"], p),
    "classes": lambda maps, p: label_classes(maps["classes"], p),
}


def label_maps(head: str, maps: Maps, parameters: Any) -> np.ndarray:
    """Label image from the maps of a head.

    Args:
        head: a key of `kiosk.heads.HEADS`.
        maps: map name -> (y, x) or (channel, y, x) uint8, float16 or float32.
        parameters: of the dataclass that `HEADS` names for the head.

    Returns:
        (y, x) uint32 label image, 0 = background, instances 1..n in raster order.
    """
    shape = next(iter(maps.values())).shape[-2:]
    if 0 in shape:
        return np.zeros(shape, np.uint32)
    return ROUTES[head](maps, parameters)
