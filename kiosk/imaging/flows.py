"""Head `flows`: every pixel follows the flow; pixels that end at one place are one instance.

See C. Stringer, T. Wang, M. Michaelos and M. Pachitariu, "Cellpose: a generalist algorithm for
cellular segmentation", Nat. Methods 18:100 (2021). Pixels go in Euler steps of the flow at their
place. Where many end, in a local maximum of their histogram, is a seed; a seed takes the places
around it where some end, and an instance is the pixels that end there.

Most pixels of an instance are at the same place after a few steps. From then on they go as one,
so the remaining steps cost next to nothing.

Cellpose itself reads the flow up to half a pixel beside a pixel's place, by where in the image
that is. That is not done here, as blocks of a plane would then differ from the plane; it is most
of the difference, and with it, and without the roundings, all instances are the same pixel by
pixel, see `tests/comparison`.
"""

from __future__ import annotations

import cv2
import numpy as np

from kiosk.heads import FlowParameters
from kiosk.imaging.finishing import drop_small, finish, number_in_raster_order
from kiosk.imaging.flow_check import drop_inconsistent
from kiosk.imaging.maps import as_signed, at_least

# Pixels that are in the same sixteenth of a pixel go on as one.
_PLACES_PER_PX = 16
_MEETINGS = (4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 512, 1024, 2048)
_COLUMNS = 1024
"""Points are handed to cv2.remap as a picture of so many columns."""

# A seed is the highest place within 2 px, and grows 5 px through places with more than 2 pixels.
_SEED_WINDOW_PX = 5
_GROWTH_PX = 5
_GROWTH_COUNT = 2


def follow_flows(
    foreground: np.ndarray, flows: np.ndarray, parameters: FlowParameters
) -> np.ndarray:
    """Label image from a foreground map and a flow field.

    Args:
        foreground: (y, x) uint8 or float.
        flows: (2, y, x) steps along y and x: uint8 as (value - 128) / 127, floats as they are
            over `parameters.flow_scale`, in pixels.
        parameters: thresholds; foreground as a fraction of full scale.

    Returns:
        (y, x) uint32 label image, 0 = background, instances 1..n in raster order.
    """
    mask = at_least(foreground, parameters.foreground_threshold)
    labels = np.zeros(mask.shape, np.uint32)
    rows, columns = np.nonzero(mask)
    if rows.size == 0:
        return labels
    pixels = (rows, columns)
    steps = as_signed(flows, parameters.flow_scale)
    ends = destinations(np.where(mask, steps, 0), pixels, int(parameters.steps))
    y, x = ends.astype(np.int64)
    labels[pixels] = sinks(y, x, mask.shape, parameters.min_seed_count)[y, x]
    if parameters.flow_error_threshold > 0:
        labels = number_in_raster_order(labels)
        labels = drop_inconsistent(labels, steps, parameters.flow_error_threshold)
    labels = number_in_raster_order(drop_small(labels, parameters.min_area_px))
    return finish(labels, parameters, parameters.min_area_px)


def destinations(
    flows: np.ndarray, pixels: tuple[np.ndarray, np.ndarray], steps: int
) -> np.ndarray:
    """Where pixels are after so many steps.

    Args:
        flows: (2, y, x) float32, one step along y and x in pixels; 0 outside of the foreground.
        pixels: (y, x) of the pixels that go.
        steps: how many.

    Returns:
        (2, pixel) float32 y and x, within the plane.
    """
    field = np.ascontiguousarray(flows.transpose(1, 2, 0), np.float32)
    far = np.array(field.shape[:2], np.float32)[:, None] - 1
    place = np.stack(pixels).astype(np.float32)
    traveller = np.arange(place.shape[1])
    for step in range(1, steps + 1):
        before = place
        place = np.clip(place + _at(field, place), 0, far)
        if step in _MEETINGS and step < steps:
            place, group = _met(place, field.shape[1])
            traveller = group[traveller]
    return _home(before, place)[:, traveller]


def _home(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Steps of a pixel overshoot the middle and come back for ever: home is between two."""
    return (before + after) / 2


def _at(field: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Bilinear samples (2, point) of a (y, x, 2) field; 0 beyond its rim."""
    count = place.shape[1]
    rows = -(-count // _COLUMNS)
    points = np.zeros((2, rows * _COLUMNS), np.float32)
    points[:, :count] = place
    y, x = points.reshape(2, rows, _COLUMNS)
    sampled = cv2.remap(field, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return np.asarray(sampled.reshape(-1, 2)[:count].T)


def _met(place: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Places without those that are the same, and for each old place the position of its new."""
    y, x = np.rint(place * _PLACES_PER_PX).astype(np.int64)
    key = y * (width * _PLACES_PER_PX) + x
    _, first, group = np.unique(key, return_index=True, return_inverse=True)
    return np.ascontiguousarray(place[:, first]), group


def sinks(y: np.ndarray, x: np.ndarray, shape: tuple[int, ...], min_count: float) -> np.ndarray:
    """Where instances gather: (y, x) uint32 map, the instance that a place belongs to.

    Args:
        y, x: (pixel,) where each has ended, whole pixels.
        shape: of the plane.
        min_count: a seed needs more pixels than this.
    """
    pad = _GROWTH_PX
    padded = (shape[0] + 2 * pad, shape[1] + 2 * pad)
    flat = (y + pad) * padded[1] + x + pad
    count = np.bincount(flat, minlength=padded[0] * padded[1]).reshape(padded).astype(np.float32)
    highest = cv2.dilate(count, np.ones((_SEED_WINDOW_PX, _SEED_WINDOW_PX), np.uint8))
    seeds = np.flatnonzero((count == highest) & (count > min_count))
    # Where two grow into each other the one with more pixels has the place: it comes last.
    seeds = seeds[np.argsort(count.ravel()[seeds], kind="stable")]
    offset = np.arange(-pad, pad + 1)
    window = seeds[:, None, None] + offset[:, None] * padded[1] + offset
    open_places = count.ravel()[window] > _GROWTH_COUNT
    grown = _grown(open_places)
    owner = np.zeros(count.size, np.uint32)
    seed, row, column = np.nonzero(grown)
    owner[window[seed, row, column]] = seed + 1
    return owner.reshape(padded)[pad:-pad, pad:-pad]


def _grown(open_places: np.ndarray) -> np.ndarray:
    """Reached from the middle of each (seed, y, x) window in steps to neighbours that are open."""
    side = 2 * _GROWTH_PX + 1
    reached = np.zeros((len(open_places), side + 2, side + 2), np.bool_)
    reached[:, _GROWTH_PX + 1, _GROWTH_PX + 1] = True
    for _ in range(_GROWTH_PX):
        rows = reached[:, :-2] | reached[:, 1:-1] | reached[:, 2:]
        reached[:, 1:-1, 1:-1] = (rows[..., :-2] | rows[..., 1:-1] | rows[..., 2:]) & open_places
    return reached[:, 1:-1, 1:-1]
