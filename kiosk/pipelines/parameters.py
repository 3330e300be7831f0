"""Which numbers a request may set, and for what: instances, and joining them to volumes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kiosk.errors import InvalidRequest
from kiosk.heads import HEADS
from kiosk.imaging.volume_numbers import VolumeParameters
from kiosk.models import ModelCard
from kiosk.parameters import chosen, parameters_of
from kiosk.request import SegmentationRequest

# Thresholds of single frames, as shares of those for single images.
WEAKER = {"peak_threshold": 1 / 3, "min_area_px": 0.4}
VOLUME_NAMES = frozenset(parameter.name for parameter in parameters_of(VolumeParameters))


def instance_parameters(card: ModelCard, request: SegmentationRequest) -> Any:
    """The post-processing parameters of the model's head: its defaults and the caller's overrides.

    Raises:
        InvalidRequest: an unknown name, or a value out of range.
    """
    overrides = request.postprocessing
    if request.volume:
        chosen(VolumeParameters, {}, volume_wishes(overrides))
        overrides = {name: v for name, v in overrides.items() if name not in VOLUME_NAMES}
    if "diameter_px" in overrides and card.network_diameter_px <= 0:
        raise InvalidRequest(
            f"The model '{card.name}' does not say which diameter it was trained for, so"
            " 'diameter_px' cannot be used with it.",
            reason="UNKNOWN_PARAMETER",
            field="parameters",
        )
    return chosen(HEADS[card.head].parameters, card.postprocessing, overrides)


def movie_parameters(card: ModelCard, request: SegmentationRequest) -> Any:
    """As `instance_parameters`, for frames of a movie: what is weak in one is seen in the others.

    A cell that is missed costs its links, one that is invented lasts for a frame. What the caller
    has set stays as it is.
    """
    parameters = instance_parameters(card, request)
    lowered = {
        name: getattr(parameters, name) * share
        for name, share in WEAKER.items()
        if hasattr(parameters, name) and name not in request.postprocessing
    }
    return replace(parameters, **lowered)


def volume_wishes(overrides: Mapping[str, float]) -> dict[str, float]:
    """What the caller has said about joining planes to volumes."""
    return {name: value for name, value in overrides.items() if name in VOLUME_NAMES}
