"""Scores of a network on labelled planes, with the post-processing that the kiosk runs."""

from __future__ import annotations

import numpy as np
import torch

from kiosk.imaging.instances import InstanceParameters, find_instances
from kiosk.imaging.intensity import plane_limits
from kiosk.imaging.matching import MatchCounts, count_matches, intersection_over_union
from kiosk.imaging.scaling import resized, scale_for, scaled_shape, typical_diameter_px
from training.dataset import LabelledPlane
from training.network import DIVISOR_PX, MapNetwork

# What curves are drawn with; the settings of a model are tuned when its weights are chosen.
POSTPROCESSING = InstanceParameters(0.5, 0.7, 0.45, 0.3, 20)


@torch.no_grad()
def predict_maps(
    network: MapNetwork,
    planes: list[LabelledPlane],
    device: str,
    model_diameter_px: float = 0.0,
) -> list[np.ndarray]:
    """One (2, y, x) uint8 array per plane: foreground and distance, 0..255.

    Args:
        model_diameter_px: planes are resized for the network as the kiosk does it, but by the
            true diameter of their instances, not by a guess; 0 leaves them.
    """
    network.eval()
    maps = []
    for plane in planes:
        pixels = plane.pixels if plane.pixels.ndim == 3 else plane.pixels[:, :, None]
        limits = plane_limits(pixels.transpose(2, 0, 1))
        scaled = (pixels.astype(np.float32) - limits.low) / (limits.high - limits.low)
        scaled = np.clip(np.broadcast_to(scaled, (*scaled.shape[:2], 3)), 0.0, 1.5)
        whole = scaled.shape[:2]
        scale = scale_for(typical_diameter_px(plane.labels), model_diameter_px)
        height, width = scaled_shape(whole, scale)
        scaled = resized(scaled.transpose(2, 0, 1), height, width).transpose(1, 2, 0)
        pad = [(0, -height % DIVISOR_PX), (0, -width % DIVISOR_PX), (0, 0)]
        padded = np.pad(scaled, pad, mode="symmetric").transpose(2, 0, 1)[None]
        with torch.autocast(device, torch.bfloat16):
            logits = network(torch.from_numpy(np.ascontiguousarray(padded)).to(device))
        probability = torch.sigmoid(logits.float())[0, :, :height, :width]
        maps.append(resized((probability * 255).round().to(torch.uint8).cpu().numpy(), *whole))
    return maps


def count_by_modality(
    planes: list[LabelledPlane],
    maps: list[np.ndarray],
    parameters: InstanceParameters,
    threshold: float = 0.5,
) -> dict[str, MatchCounts]:
    """Matches at one IoU threshold, pooled over the planes of each modality."""
    counts: dict[str, MatchCounts] = {}
    for plane, (foreground, distance) in zip(planes, maps):
        labels = find_instances(foreground, distance, parameters)
        found = count_matches(intersection_over_union(plane.labels, labels), threshold)
        counts[plane.modality] = counts.get(plane.modality, MatchCounts(0, 0, 0)) + found
    return counts


def mean_scores(planes: list[LabelledPlane], maps: list[np.ndarray]) -> dict[str, float]:
    """F1 and AP at IoU 0.5 over all planes, and F1 per modality."""
    counts = count_by_modality(planes, maps, POSTPROCESSING)
    total = sum(counts.values(), MatchCounts(0, 0, 0))
    scores = {f"f1_{name}": round(count.f1, 4) for name, count in sorted(counts.items())}
    return {"f1": round(total.f1, 4), "ap": round(total.average_precision, 4), **scores}
