"""Scores of a network on labelled planes, with the post-processing that the kiosk runs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from kiosk.evaluation import Scores, score_plane
from kiosk.heads import InstanceParameters
from kiosk.imaging.instances import find_instances
from kiosk.imaging.intensity import plane_limits
from kiosk.imaging.matching import MatchCounts
from kiosk.imaging.scaling import resized, scale_for, scaled_shape, typical_diameter_px
from training.dataset import LabelledPlane
from training.network import DIVISOR_PX, MapNetwork

# What curves are drawn with; the settings of a model are tuned when its weights are chosen.
POSTPROCESSING = InstanceParameters(0.5, 0.7, 0.45, 0.3, 20)


def true_scales(planes: Sequence[LabelledPlane], network_diameter_px: float) -> list[float]:
    """The scale of each plane for the network, by the true diameter of its instances."""
    return [scale_for(typical_diameter_px(plane.labels), network_diameter_px) for plane in planes]


def measured_scales(
    network: MapNetwork,
    planes: Sequence[LabelledPlane],
    device: str,
    network_diameter_px: float,
    parameters: InstanceParameters = POSTPROCESSING,
) -> list[float]:
    """The scale of each plane as the kiosk finds it, see `kiosk.pipelines.sizing`."""
    maps = predict_maps(network, planes, device, [1.0] * len(planes))
    labels = [find_instances(found[0], found[1], parameters) for found in maps]
    return [scale_for(typical_diameter_px(found), network_diameter_px) for found in labels]


@torch.no_grad()
def predict_maps(
    network: MapNetwork, planes: Sequence[LabelledPlane], device: str, scales: Sequence[float]
) -> list[np.ndarray]:
    """One (2, y, x) uint8 array per plane: foreground and distance, 0..255.

    Args:
        scales: how much larger the network sees each plane.
    """
    network.eval()
    maps = []
    for plane, scale in zip(planes, scales, strict=True):
        pixels = plane.pixels if plane.pixels.ndim == 3 else plane.pixels[:, :, None]
        pixels = pixels.transpose(2, 0, 1)
        limits = plane_limits(pixels)
        scaled = (pixels.astype(np.float32) - limits.low) / (limits.high - limits.low)
        scaled = np.clip(np.broadcast_to(scaled, (3, *scaled.shape[1:])), 0.0, 1.5)
        height, width = scaled_shape(plane.labels.shape, scale)
        scaled = resized(scaled, height, width)
        pad = [(0, 0), (0, -height % DIVISOR_PX), (0, -width % DIVISOR_PX)]
        padded = np.pad(scaled, pad, mode="symmetric")[None]
        with torch.autocast(device, torch.bfloat16):
            logits = network(torch.from_numpy(np.ascontiguousarray(padded)).to(device))
        probability = torch.sigmoid(logits.float())[0, :, :height, :width]
        bytes_ = (probability * 255).round().to(torch.uint8).cpu().numpy()
        maps.append(resized(bytes_, *plane.labels.shape))
    return maps


def scores_by_modality(
    planes: Sequence[LabelledPlane],
    maps: Sequence[np.ndarray],
    parameters: InstanceParameters,
) -> dict[str, Scores]:
    """All figures of `kiosk evaluate`, pooled over the planes of each modality."""
    scores: dict[str, Scores] = {}
    for plane, (foreground, distance) in zip(planes, maps, strict=True):
        found = score_plane(plane.labels, find_instances(foreground, distance, parameters))
        scores[plane.modality] = scores.get(plane.modality, Scores()) + found
    return scores


def pooled_counts(
    planes: Sequence[LabelledPlane], maps: Sequence[np.ndarray], parameters: InstanceParameters
) -> MatchCounts:
    """Matches at IoU 0.5 over all planes."""
    return sum(scores_by_modality(planes, maps, parameters).values(), Scores()).at(0.5)


def mean_scores(planes: Sequence[LabelledPlane], maps: Sequence[np.ndarray]) -> dict[str, float]:
    """F1 and AP at IoU 0.5 over all planes, and F1 per modality."""
    scores = scores_by_modality(planes, maps, POSTPROCESSING)
    total = sum(scores.values(), Scores()).at(0.5)
    modalities = {f"f1_{n}": round(one.at(0.5).f1, 4) for n, one in sorted(scores.items())}
    return {"f1": round(total.f1, 4), "ap": round(total.average_precision, 4), **modalities}
