"""Small movies of discs, made by the tests themselves."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from kiosk.imaging.detections import Detections, detect
from kiosk.imaging.linking import Linker, LinkOptions
from kiosk.imaging.links import Links

SIDE_PX = 128
RADIUS_PX = 6.0

# Label -> (y, x) or (y, x, radius).
Discs = Mapping[int, tuple[float, ...]]


def discs(places: Discs, side_px: int = SIDE_PX) -> np.ndarray:
    """(y, x) uint32 labels of discs; what lies outside is cut off."""
    labels = np.zeros((side_px, side_px), np.uint32)
    y, x = np.mgrid[:side_px, :side_px]
    for label, (middle_y, middle_x, *radius) in places.items():
        size = radius[0] if radius else RADIUS_PX
        labels[(y - middle_y) ** 2 + (x - middle_x) ** 2 < size**2] = label
    return labels


def image_of(labels: np.ndarray) -> np.ndarray:
    """(y, x) uint16: bright instances on a dark ground with a little noise."""
    noise = np.random.default_rng(0).normal(0, 10, labels.shape)
    return np.where(labels > 0, 900 + noise, 100 + noise).astype(np.uint16)


def linked(frames: list[np.ndarray], options: LinkOptions | None = None) -> Links:
    """All links of the labels (y, x) of a movie, without a network."""
    return linked_detections([detect(f, image_of(f), patches=False) for f in frames], options)


def linked_detections(movie: list[Detections], options: LinkOptions | None = None) -> Links:
    linker = Linker(options)
    pieces = [linker.add(detections) for detections in movie]
    return Links.joined([*pieces, linker.finish()])


def link_set(links: Links) -> set[tuple[int, int, int, int]]:
    """(source frame, source label, target frame, target label) of each link."""
    columns = links.source_frame, links.source_label, links.target_frame, links.target_label
    return set(zip(*(column.tolist() for column in columns), strict=True))
