"""Head `boundary`: instances from a foreground map and a map of the boundaries between them.

The altitude is foreground and no boundary, so that a core is a hill and a boundary a valley;
from there on it is the route of the distance head. A fixed threshold on the boundary (the usual
route) breaks as soon as the maps blur; the height of a pass against its peaks holds longer.
"""

from __future__ import annotations

import numpy as np

from kiosk.heads import BoundaryParameters
from kiosk.imaging.instances import label_hills
from kiosk.imaging.maps import as_fraction


def split_at_boundaries(
    foreground: np.ndarray, boundary: np.ndarray, parameters: BoundaryParameters
) -> np.ndarray:
    """Label image from a foreground map and a boundary map.

    Args:
        foreground: (y, x) uint8 or float; full scale inside an instance, its boundary included.
        boundary: (y, x) uint8 or float; full scale on outlines, or only between instances that
            touch.
        parameters: thresholds, as fractions of full scale.

    Returns:
        (y, x) uint32 label image, 0 = background, instances 1..n in raster order.
    """
    core = 1 - as_fraction(boundary)
    core *= as_fraction(foreground)
    return label_hills(core, foreground, parameters)
