"""Head `distance`: instances from a foreground map and a normalised distance map."""

from __future__ import annotations

import cv2
import numpy as np

from kiosk.heads import BoundaryParameters, InstanceParameters
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
    return label_hills(altitude, foreground, parameters)


def label_hills(
    altitude: np.ndarray,
    foreground: np.ndarray,
    parameters: InstanceParameters | BoundaryParameters,
) -> np.ndarray:
    """Label image of the hills of an altitude map, one hill per instance.

    Args:
        altitude: (y, x) float32 as a fraction of full scale; smoothed in place.
        foreground: (y, x) uint8 or float.
        parameters: of a head whose instances are hills.
    """
    if parameters.smoothing_px > 0 and altitude.size:
        cv2.GaussianBlur(altitude, (0, 0), parameters.smoothing_px, dst=altitude)
    labels = ascend(
        altitude,
        at_least(foreground, parameters.foreground_threshold),
        merge_height=parameters.merge_height,
        peak_threshold=parameters.peak_threshold,
        min_area_px=parameters.min_area_px,
    )
    return finish(labels, parameters, parameters.min_area_px)
