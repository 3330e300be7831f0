"""Which planes of two label images are compared, and the figures that come of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kiosk.errors import InvalidRequest, TooLarge
from kiosk.figures.label_stacks import LabelStack, Place
from kiosk.imaging.scores import Scores
from kiosk.ports import Window

# A plane is whole in memory, about 40 bytes for each pixel: below 1 GB.
MOST_PLANE_PX = 20_000_000
# Somebody waits for it: about 20 s on a core that has nothing else to do, which others may use too.
MOST_PX = 200_000_000


@dataclass(frozen=True)
class PlaneScores:
    """The figures of one plane."""

    t: int
    z: int
    scores: Scores


@dataclass(frozen=True)
class Comparison:
    """All planes that both have, and their sum."""

    planes: Sequence[PlaneScores]
    pooled: Scores


@dataclass(frozen=True)
class PlanePair:
    """The same plane in both, by its number there."""

    place: Place
    predicted: int
    truth: int


def fitting(predicted: LabelStack, truth: LabelStack) -> tuple[list[PlanePair], Window]:
    """The planes of two label images to compare, and the part of each plane that both looked at.

    Raises:
        InvalidRequest: they do not fit together.
        TooLarge: there are too many pixels to wait for.
    """
    pairs = _pairs(predicted, truth)
    window = _window(predicted, truth)
    _check_size(window, len(pairs))
    return pairs, window


def _pairs(predicted: LabelStack, truth: LabelStack) -> list[PlanePair]:
    """The planes of both, in order. Raises InvalidRequest where they are of different images."""
    if predicted.shape != truth.shape:
        sizes = [f"{stack.shape[1]} x {stack.shape[0]}" for stack in (predicted, truth)]
        raise _unfit(
            f"planes of {predicted.name} have {sizes[0]} pixels, those of {truth.name} {sizes[1]}"
        )
    others, places = _as_in(predicted, truth), predicted.places
    if len(places) != len(others) and not (predicted.is_part or truth.is_part):
        raise _unfit(
            f"{predicted.name} has {_count(len(places))}, {truth.name} {_count(len(others))}"
        )
    number = {place: at for at, place in enumerate(others)}
    shared = [(at, place) for at, place in enumerate(places) if place in number]
    pairs = [PlanePair(place, at, number[place]) for at, place in shared]
    if len(shared) < len(places) and not truth.is_part:
        t, z = next(place for place in places if place not in number)
        raise _unfit(f"{truth.name} has no plane t={t}, z={z}, and {predicted.name} has one")
    if not pairs:
        raise _unfit("they have no plane in common")
    return pairs


def _as_in(predicted: LabelStack, truth: LabelStack) -> list[Place]:
    """The places of the truth; many programs write a movie as a stack along z."""
    are_equally_many = len(truth.places) == len(predicted.places)
    crossed = [
        all(place[axis] == 0 for place in truth.places)
        and all(place[1 - axis] == 0 for place in predicted.places)
        for axis in (0, 1)
    ]
    if are_equally_many and any(crossed):
        return [(z, t) for t, z in truth.places]
    return list(truth.places)


def _window(predicted: LabelStack, truth: LabelStack) -> Window:
    """The part of a plane that both have looked at."""
    top, left, (bottom, right) = 0, 0, predicted.shape
    for region in (predicted.region, truth.region):
        if region is not None:
            top, left = max(top, region.min_y_px), max(left, region.min_x_px)
            bottom, right = min(bottom, region.max_y_px), min(right, region.max_x_px)
    if top >= bottom or left >= right:
        raise _unfit("their regions do not overlap")
    return slice(top, bottom), slice(left, right)


def _check_size(window: Window, planes: int) -> None:
    rows, columns = window
    plane_px = (rows.stop - rows.start) * (columns.stop - columns.start)
    if plane_px > MOST_PLANE_PX or plane_px * planes > MOST_PX:
        raise TooLarge(
            f"These are {_count(planes)} of {plane_px / 1e6:.0f} megapixels; here planes up to"
            f" {MOST_PLANE_PX / 1e6:.0f} and {MOST_PX / 1e6:.0f} megapixels in all are compared."
            " Download both label images and use 'kiosk evaluate'.",
            reason="TOO_LARGE_TO_COMPARE",
        )


def _count(planes: int) -> str:
    return "one plane" if planes == 1 else f"{planes} planes"


def _unfit(why: str) -> InvalidRequest:
    return InvalidRequest(
        f"These two cannot be compared: {why}. They must show the same image.",
        reason="NOT_COMPARABLE",
        field="with",
    )
