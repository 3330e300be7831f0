"""What a segmentation model is given, and what is taken from its answer."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from kiosk.errors import PermanentError
from kiosk.heads import HEADS, Head, MapSpec
from kiosk.imaging.intensity import Limits
from kiosk.models import ModelCard

MAP_DTYPES = ("uint8", "float16", "float32")


def model_inputs(card: ModelCard, tile: np.ndarray, limits: Limits) -> dict[str, np.ndarray]:
    """The input tensors for one tile, batch axis first.

    Args:
        card: the model; which type its image tensor has and who scales the grey values.
        tile: (channel, y, x) uint16 grey values.
        limits: grey values that become 0 and 1.
    """
    if not card.takes_limits:
        span = np.float32(max(limits.high - limits.low, 1e-6))
        return {"image": ((tile - np.float32(limits.low)) / span)[None]}
    image = tile.astype(card.image_dtype, copy=False)
    return {"image": image[None], "limits": np.array([[limits.low, limits.high]], np.float32)}


def head_maps(card: ModelCard, outputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The maps of one tile that the model's head consists of, each (channel, y, x).

    Triton's PyTorch backend wants outputs to be called `foreground__0`; what follows the two
    underscores is left out.

    Raises:
        PermanentError: a map is missing or has another shape or type than its head demands.
    """
    given = {name.partition("__")[0]: tensor for name, tensor in outputs.items()}
    maps = {}
    for spec in HEADS[card.head].maps:
        if spec.name not in given:
            raise PermanentError(
                f"The model '{card.name}' does not give the map '{spec.name}', which the head"
                f" '{card.head}' needs."
            )
        tensor = given[spec.name]
        if fault := map_fault(spec, tensor):
            raise PermanentError(f"The model '{card.name}' does not fit its head: {fault}")
        maps[spec.name] = tensor if spec.axes == "yx" else tensor[0]
    return maps


def without_channel_axis(head: Head, maps: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """(channel, y, x) maps as post-processing takes them: (y, x) where there are no channels."""
    return {
        spec.name: maps[spec.name][0] if spec.axes == "yx" else maps[spec.name]
        for spec in head.maps
    }


def map_fault(spec: MapSpec, tensor: np.ndarray) -> str:
    """What is wrong with a map of one tile, batch axis first, in a sentence; "" for nothing."""
    axes = " x ".join(("batch", *spec.axes))
    if tensor.dtype.name not in MAP_DTYPES:
        return (
            f"the map '{spec.name}' is {tensor.dtype}; it must be one of {', '.join(MAP_DTYPES)}."
        )
    if tensor.ndim != len(spec.axes) + 1 or tensor.shape[0] != 1:
        return f"the map '{spec.name}' has the shape {tensor.shape}; its axes must be {axes}."
    fewest, most = spec.channels
    if spec.axes == "cyx" and not fewest <= tensor.shape[1] <= most:
        wanted = f"{fewest}" if fewest == most else f"{fewest} to {most}"
        return f"the map '{spec.name}' has {tensor.shape[1]} channels; it must have {wanted}."
    return ""
