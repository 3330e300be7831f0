"""The routes that others take from maps to instances, as functions of our maps.

Versions are pinned in requirements.txt. deepcell-toolbox is not free software for commercial use;
it is measured here and nothing of it is used in the kiosk. Its settings were made for other maps,
so its times can be compared here and its F1 cannot.
"""

from __future__ import annotations

import sys
import types
import warnings
from unittest import mock

import numpy as np
from scipy.ndimage import map_coordinates
from skimage.feature import peak_local_max
from skimage.filters import gaussian
from skimage.measure import label
from skimage.morphology import h_maxima, remove_small_objects
from skimage.segmentation import watershed

from kiosk.heads import FlowParameters, InstanceParameters
from kiosk.imaging import flows
from kiosk.imaging.maps import as_fraction
from kiosk.imaging.postprocessing import label_maps

warnings.filterwarnings("ignore")


def import_cellpose():
    """cellpose.dynamics on one thread. It needs no torchvision, though its package imports it."""
    for name in ("torchvision", "torchvision.transforms"):
        sys.modules.setdefault(name, types.ModuleType(name))
    sys.modules["torchvision.transforms"].functional = None
    sys.modules["torchvision.transforms"]._functional_tensor = None
    import torch

    torch.set_num_threads(1)
    from cellpose import dynamics

    return dynamics, torch.device("cpu")


def h_maxima_watershed(maps, p: InstanceParameters) -> np.ndarray:
    """h-maxima of the smoothed distance, then a watershed: what our route must agree with."""
    altitude = gaussian(as_fraction(maps["distance"]), p.smoothing_px)
    mask = as_fraction(maps["foreground"]) >= p.foreground_threshold
    seeds = label(h_maxima(np.where(mask, altitude, 0), p.merge_height))
    return _filtered(watershed(-altitude, seeds, mask=mask), altitude, p)


def peaks_watershed(maps, p: InstanceParameters) -> np.ndarray:
    """Local maxima at least 5 px apart, then a watershed: the usual recipe."""
    altitude = gaussian(as_fraction(maps["distance"]), p.smoothing_px)
    mask = as_fraction(maps["foreground"]) >= p.foreground_threshold
    peaks = peak_local_max(
        altitude, min_distance=5, threshold_abs=p.peak_threshold, labels=mask.astype(int)
    )
    seeds = np.zeros(mask.shape, np.int32)
    seeds[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    return _filtered(watershed(-altitude, seeds, mask=mask), altitude, p)


def _filtered(labels: np.ndarray, altitude: np.ndarray, p: InstanceParameters) -> np.ndarray:
    peak = np.zeros(labels.max() + 1)
    np.maximum.at(peak, labels.ravel(), altitude.ravel())
    keep = (peak >= p.peak_threshold) & (np.bincount(labels.ravel()) >= p.min_area_px)
    return np.where(keep[labels], labels, 0)


def deepcell(maps, p: InstanceParameters) -> np.ndarray:
    """deepcell-toolbox's deep_watershed with the settings of Mesmer's nuclear model."""
    from deepcell_toolbox.deep_watershed import deep_watershed

    outputs = [as_fraction(maps[name])[None, ..., None] for name in ("distance", "foreground")]
    return deep_watershed(
        outputs,
        radius=2,
        maxima_threshold=0.1,
        interior_threshold=p.foreground_threshold,
        maxima_smooth=p.smoothing_px,
        interior_smooth=0,
        small_objects_threshold=int(p.min_area_px),
    )[0, ..., 0]


def cores_watershed(maps, p) -> np.ndarray:
    """Foreground without boundary as seeds, then a watershed over the boundary map."""
    mask = as_fraction(maps["foreground"]) >= p.foreground_threshold
    boundary = gaussian(as_fraction(maps["boundary"]), p.smoothing_px)
    seeds = remove_small_objects(label(mask & (boundary < 0.5)), 10)
    return watershed(boundary, seeds, mask=mask)


def stardist(maps, p) -> np.ndarray:
    """StarDist's non-maximum suppression in C++ and its drawing."""
    from stardist import non_maximum_suppression, polygons_to_label

    grid = int(p.grid_px)
    rays = np.ascontiguousarray(maps["rays"][:, ::grid, ::grid].transpose(1, 2, 0))
    points, scores, kept = non_maximum_suppression(
        rays,
        np.ascontiguousarray(maps["foreground"][::grid, ::grid]),
        grid=(grid, grid),
        prob_thresh=p.foreground_threshold,
        nms_thresh=p.overlap_threshold,
    )
    return polygons_to_label(kept, points, maps["foreground"].shape, prob=scores)


def cellpose(maps, p) -> np.ndarray:
    """Cellpose's dynamics on the CPU."""
    dynamics, device = import_cellpose()
    return dynamics.compute_masks(
        maps["flows"],
        maps["foreground"],
        niter=int(p.steps),
        cellprob_threshold=p.foreground_threshold,
        flow_threshold=p.flow_error_threshold,
        min_size=int(p.min_area_px),
        max_size_fraction=1.0,
        device=device,
    ).astype(np.int64)


def connected_classes(maps, p) -> np.ndarray:
    """skimage's connected components of the winning class."""
    winner = maps["classes"].argmax(axis=0)
    winner[winner == p.boundary_class] = 0
    return remove_small_objects(label(winner, connectivity=2), int(p.min_area_px))


def kiosk_with_cellposes_places(maps, p: FlowParameters) -> np.ndarray:
    """Our route, but the flow is read where Cellpose reads it, and nothing is rounded or averaged.

    Cellpose scales places to -1..1 by the size less one and samples with `align_corners=False`,
    which takes -1 and 1 for the outer rims: it reads half a pixel before the place at one end of
    the image, half a pixel behind it at the other.
    """
    with (
        mock.patch.object(flows, "_at", _at_cellposes_place),
        mock.patch.object(flows, "_MEETINGS", ()),
        mock.patch.object(flows, "_home", lambda before, after: after),
    ):
        return label_maps("flows", maps, p)


def _at_cellposes_place(field: np.ndarray, place: np.ndarray) -> np.ndarray:
    size = np.array(field.shape[:2], np.float32)[:, None]
    y, x = place * size / (size - 1) - 0.5
    # OpenCV samples at 1/32 px; here every bit counts.
    sampled = [
        map_coordinates(field[..., axis], (y, x), order=1, mode="grid-constant") for axis in (0, 1)
    ]
    return np.stack(sampled)
