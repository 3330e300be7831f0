"""Planes to compare on: made-up maps of known label images, and real maps of a served model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import tifffile

from kiosk.imaging.intensity import as_uint16, plane_limits
from kiosk.imaging.sample import make_sample
from kiosk.model_check import read_config
from kiosk.models import ModelCard, card_from_config
from kiosk.testing.maps import boundary_maps, class_maps, distance_maps
from tests.comparison.libraries import import_cellpose

SIDE_PX = 1024
CELLPOSE_SCALE = 5  # its networks give flows of this length


@dataclass(frozen=True)
class Plane:
    """Truth (y, x) and the maps of one head."""

    truth: np.ndarray
    maps: dict[str, np.ndarray]


def made_up(nuclei: int, seed: int = 3) -> np.ndarray:
    """Label image of about so many nuclei on 1024 x 1024 px, many of them touching."""
    return make_sample(1, SIDE_PX, SIDE_PX, nuclei, seed).labels[0].astype(np.int32)


def distance_plane(truth: np.ndarray) -> Plane:
    return Plane(truth, {k: _blurred(v, 1.0, 0.05) for k, v in distance_maps(truth).items()})


def boundary_plane(truth: np.ndarray) -> Plane:
    return Plane(truth, {k: _blurred(v, 0.7, 0.05) for k, v in boundary_maps(truth).items()})


def class_plane(truth: np.ndarray) -> Plane:
    classes = class_maps(truth)["classes"]
    return Plane(
        truth, {"classes": np.stack([_blurred(c, 0.5, 0.05, i) for i, c in enumerate(classes)])}
    )


def star_plane(truth: np.ndarray) -> Plane:
    """Rays and probability as StarDist computes them for training, 6 % and 0.03 noise."""
    from stardist import edt_prob, star_dist

    random = np.random.default_rng(1)
    # Below 1: among clipped, equal probabilities the order would be an accident.
    foreground = edt_prob(truth) * 0.8 + random.normal(0, 0.03, truth.shape)
    rays = star_dist(truth, 32) * (1 + random.normal(0, 0.06, (*truth.shape, 32)))
    rays = np.maximum(rays, 1e-3).astype(np.float32).transpose(2, 0, 1)
    maps = {"foreground": np.clip(foreground, 0, 1).astype(np.float32), "rays": rays}
    return Plane(truth, maps)


def flow_plane(truth: np.ndarray) -> Plane:
    """Flows as Cellpose computes them for training, times 5, noise 0.6; logits as foreground."""
    dynamics, device = import_cellpose()
    random = np.random.default_rng(1)
    flows, _ = dynamics.masks_to_flows_gpu(truth, device=device)
    flows = CELLPOSE_SCALE * flows + random.normal(0, 0.6, flows.shape)
    foreground = np.where(truth > 0, 6, -6) + random.normal(0, 0.5, truth.shape)
    maps = {"foreground": foreground.astype(np.float32), "flows": flows.astype(np.float32)}
    return Plane(truth, maps)


MADE_UP: dict[str, Callable[[np.ndarray], Plane]] = {
    "distance": distance_plane,
    "boundary": boundary_plane,
    "classes": class_plane,
    "stars": star_plane,
    "flows": flow_plane,
}


def real_planes(model: Path, data: Path, most: int) -> tuple[ModelCard, list[Plane]]:
    """What the newest version of a model with head `distance` answers for labelled images.

    Args:
        model: its folder.
        data: folder with `test/images` and `test/labels`, TIFF files of equal names.
        most: use so many images, evenly spread over the sorted names.
    """
    import onnxruntime

    versions = [path.parent.name for path in model.glob("[0-9]*/model.onnx")]
    card = card_from_config(read_config(model / "config.pbtxt"), versions)
    session = onnxruntime.InferenceSession(model / card.default_version / "model.onnx")
    paths = sorted((data / "test" / "images").glob("*.tif"))
    planes = []
    for path in paths[:: max(1, len(paths) // most)][:most]:
        image = tifffile.imread(path)
        pixels = image[None] if image.ndim == 2 else image.transpose(2, 0, 1)
        truth = tifffile.imread(data / "test" / "labels" / path.name).astype(np.int32)
        planes.append(Plane(truth, _predicted(session, card, np.ascontiguousarray(pixels))))
    return card, planes


def _predicted(session, card: ModelCard, plane: np.ndarray) -> dict[str, np.ndarray]:
    limits = plane_limits(plane, card.low_percentile, card.high_percentile)
    pixels, limits = as_uint16(plane, limits)
    height, width = plane.shape[1:]
    pad = ((0, 0), (0, -height % card.divisor_px), (0, -width % card.divisor_px))
    inputs = {
        "image": np.pad(pixels, pad, mode="symmetric")[None],
        "limits": np.array([[limits.low, limits.high]], np.float32),
    }
    names = ["foreground", "distance"]
    answer = session.run(names, inputs)
    return {
        name: np.ascontiguousarray(array[0, :height, :width])
        for name, array in zip(names, answer, strict=True)
    }


def _blurred(values: np.ndarray, sigma_px: float, noise: float, seed: int = 0) -> np.ndarray:
    """A uint8 map as a network would give it: blurred, with noise."""
    random = np.random.default_rng(seed)
    blurred = cv2.GaussianBlur(values.astype(np.float32), (0, 0), sigma_px)
    noisy = blurred + random.normal(0, noise * 255, values.shape)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
