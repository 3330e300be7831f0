"""Head `classes`: instances are the connected pieces of each class of a semantic network."""

from __future__ import annotations

import cv2
import numpy as np

from kiosk.heads import ClassParameters
from kiosk.imaging.finishing import drop_small, expand, finish, number_in_raster_order
from kiosk.imaging.maps import as_fraction


def label_classes(classes: np.ndarray, parameters: ClassParameters) -> np.ndarray:
    """Label image from one map per class.

    A pixel has the class of its highest map. Pixels of one class that touch, corners included,
    are one instance. With a boundary class the pieces are cores, and the boundary pixels that
    touch one go to the nearest.

    Args:
        classes: (class, y, x) uint8, float16 or float32; class 0 is the background.
        parameters: which classes count.

    Returns:
        (y, x) uint32 label image, 0 = background, instances 1..n in raster order.
    """
    if parameters.logits:
        classes = _softmax(classes)
    winner = classes.argmax(axis=0).astype(np.uint8)
    if parameters.class_threshold > 0:
        best = as_fraction(classes.max(axis=0))
        winner[best < parameters.class_threshold] = 0
    boundary = int(parameters.boundary_class)
    wanted = [int(parameters.foreground_class)] if parameters.foreground_class else None
    labels = np.zeros(winner.shape, np.uint32)
    count = 0
    for number in wanted or range(1, classes.shape[0]):
        if number == boundary:
            continue
        found, pieces = cv2.connectedComponents((winner == number).astype(np.uint8), connectivity=8)
        labels += np.where(pieces > 0, pieces + count, 0).astype(np.uint32)
        count += found - 1
    if boundary:
        labels = _grown_into(labels, winner == boundary)
    labels = number_in_raster_order(drop_small(labels, parameters.min_area_px))
    return finish(labels, parameters, parameters.min_area_px)


def _softmax(logits: np.ndarray) -> np.ndarray:
    values = logits.astype(np.float32)
    values -= values.max(axis=0)
    np.exp(values, out=values)
    return values / values.sum(axis=0)


def _grown_into(cores: np.ndarray, boundary: np.ndarray) -> np.ndarray:
    """Cores and the boundary pixels connected to them, each given to the nearest core."""
    _, pieces = cv2.connectedComponents(((cores > 0) | boundary).astype(np.uint8), connectivity=8)
    has_core = np.zeros(int(pieces.max(initial=0)) + 1, np.bool_)
    has_core[pieces[cores > 0]] = True
    has_core[0] = False
    nearest = expand(cores, float(sum(cores.shape)))
    return np.where(has_core[pieces], nearest, 0).astype(np.uint32)
