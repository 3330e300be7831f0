"""Instances of one crop pasted into another: more that touch, with borders that are known.

The simplest form of copy and paste does well (Ghiasi et al., "Simple Copy-Paste is a Strong Data
Augmentation Method for Instance Segmentation", CVPR 2021).
"""

from __future__ import annotations

import cv2
import numpy as np

PASTED_SHARE = 0.4
MOST_COVERED = 0.5  # of an instance that was there before; one that is nearly gone has no name
EDGES_PX = (0.5, 1.5)  # softness of the seam


def pasted(
    pixels: np.ndarray,
    labels: np.ndarray,
    others: np.ndarray,
    other_labels: np.ndarray,
    random: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """A crop with some of another crop's instances in front of its own.

    Args:
        pixels, others: (y, x, channel) float32, scaled alike.
        labels, other_labels: (y, x) int32, 0 = background.

    Returns:
        pixels and labels of the new crop.
    """
    chosen = _chosen(labels, other_labels, random)
    front = np.isin(other_labels, chosen)
    if not front.any():
        return pixels, labels
    edge_px = random.uniform(*EDGES_PX)
    seam = cv2.GaussianBlur(front.astype(np.float32), (0, 0), edge_px)[:, :, None]
    offset = int(labels.max())
    return (
        seam * others + (1 - seam) * pixels,
        np.where(front, other_labels + offset, labels).astype(np.int32),
    )


def _chosen(labels: np.ndarray, other_labels: np.ndarray, random: np.random.Generator) -> list[int]:
    """Some of the other crop's instances, without those that would hide one of this crop's."""
    areas_px = np.bincount(labels.ravel())
    covered_px = np.zeros_like(areas_px)
    found = np.unique(other_labels)
    chosen = []
    for label in random.permutation(found[found > 0]):
        if random.random() >= PASTED_SHARE:
            continue
        under = np.bincount(labels[other_labels == label], minlength=len(areas_px))
        under[0] = 0
        if (covered_px + under > MOST_COVERED * areas_px)[under > 0].any():
            continue
        covered_px += under
        chosen.append(int(label))
    return chosen
