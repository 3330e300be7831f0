"""Head `distance`: instances from a foreground map and a normalised distance map."""

from __future__ import annotations

import cv2
import numpy as np

from kiosk.heads import InstanceParameters
from kiosk.imaging.ascent import ascend
from kiosk.imaging.finishing import finish
from kiosk.imaging.maps import as_fraction, at_least


def find_instances(
    foreground: np.ndarray, distance: np.ndarray, parameters: InstanceParameters
) -> np.ndarray:
    """Label image from a foreground map and a normalised distance map.

    Args:
        foreground: (y, x) uint8 (255 = certainly inside an instance) or float (1.0).
        distance: (y, x) uint8 (255 = centre of an instance, 0 = its border) or float (1.0, 0.0).
        parameters: thresholds, as fractions of full scale.

    Returns:
        (y, x) uint32 label image, 0 = background, instances 1..n in raster order.
    """
    altitude = as_fraction(distance)
    if altitude is distance:
        altitude = altitude.copy()
    smooth(altitude, parameters.smoothing_px)
    labels = ascend(
        altitude,
        at_least(foreground, parameters.foreground_threshold),
        merge_height=parameters.merge_height,
        peak_threshold=parameters.peak_threshold,
        min_area_px=parameters.min_area_px,
    )
    return finish(labels, parameters, parameters.min_area_px)


def smooth(altitude: np.ndarray, sigma_px: float) -> None:
    """Filter a (y, x) float32 map by a Gaussian of standard deviation `sigma_px`, in place."""
    if sigma_px > 0 and altitude.size:
        cv2.GaussianBlur(altitude, (0, 0), sigma_px, dst=altitude)
