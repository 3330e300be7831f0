"""What a model expects and gives, read from Triton's own model configuration.

A model says everything about itself in its `config.pbtxt`, in flat `kiosk.*` parameters, so a
new folder in the model repository appears in the API, the commands and the page by itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from kiosk.errors import PermanentError
from kiosk.heads import HEADS
from kiosk.parameters import Parameter, parameters_of
from kiosk.rollouts import Rollout

# What may stand in `parameters` of a config.pbtxt; a group goes on with a name or a version.
KEYS = (
    "kiosk.pipeline",
    "kiosk.head",
    "kiosk.display_name",
    "kiosk.description",
    "kiosk.licence",
    "kiosk.channels",
    "kiosk.accepts_rgb",
    "kiosk.tile_px",
    "kiosk.divisor_px",
    "kiosk.halo_px",
    "kiosk.low_percentile",
    "kiosk.high_percentile",
    "kiosk.object_diameter_px",
    "kiosk.network_diameter_px",
)
KEY_GROUPS = ("kiosk.postprocessing.", "kiosk.weights_sha256.")

# What models are for: finding instances in planes, or linking instances through time.
SEGMENTATION, LINKING = "segmentation", "linking"
# What only a model that sees planes has to say; one that links instances sees none.
_OF_PLANES = {
    "kiosk.channels": "",
    "kiosk.tile_px": "1",
    "kiosk.divisor_px": "1",
    "kiosk.halo_px": "0",
    "kiosk.low_percentile": "0",
    "kiosk.high_percentile": "100",
}

# Types that the image tensor may have.
_IMAGE_DTYPES = {"TYPE_UINT16": "uint16", "TYPE_FP32": "float32"}
# Bytes of the types that maps may have.
_MAP_BYTES = {"TYPE_UINT8": 1, "TYPE_FP16": 2, "TYPE_FP32": 4}


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """One model of the repository and how to use it.

    Attributes:
        name: folder name in the model repository.
        versions: served versions, ascending, as strings.
        pipeline: which recipe runs it (`segmentation`), or `linking`: it joins instances through
            time, and what concerns planes and maps means nothing.
        head: form of its maps, a key of `kiosk.heads.HEADS`.
        channels: names of the channels it wants, in order.
        accepts_rgb: a colour image may stand in for the single channel.
        tile_px: longest side of a tile; divisor_px: sides are multiples of this.
        halo_px: margin around a tile whose values are not used.
        low_percentile, high_percentile: intensity limits of a plane.
        map_bytes: of all maps together for one pixel, as far as the configuration says.
        image_dtype: numpy name of the image tensor's type, "uint16" or "float32".
        takes_limits: the graph scales grey values itself by the tensor `limits`; else they come
            scaled, 0..1 between the limits.
        postprocessing: default parameters for turning maps into instances.
        object_diameter_px: typical (shortest, longest) diameter it was trained on; 0 = unknown.
        network_diameter_px: diameter that instances have where the network finds them best; images
            are brought to it. 0 = images are left as they are.
        weights_sha256: version -> SHA-256 of its weights file.
        rollout: which versions get its jobs; None = the newest, or nobody has looked.
    """

    name: str
    versions: tuple[str, ...]
    pipeline: str
    head: str = "distance"
    display_name: str = ""
    description: str = ""
    licence: str = ""
    channels: tuple[str, ...] = ()
    accepts_rgb: bool = False
    tile_px: int = 512
    divisor_px: int = 32
    halo_px: int = 32
    low_percentile: float = 1.0
    high_percentile: float = 99.8
    object_diameter_px: tuple[float, float] = (0.0, 0.0)
    network_diameter_px: float = 0.0
    map_bytes: int = 2
    image_dtype: str = "uint16"
    takes_limits: bool = True
    postprocessing: Mapping[str, float] = field(default_factory=dict)
    weights_sha256: Mapping[str, str] = field(default_factory=dict)
    rollout: Rollout | None = None

    @property
    def default_version(self) -> str:
        """What does the jobs that name no version, a canary's share left aside."""
        return self.rollout.promoted if self.rollout else self.versions[-1]

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """What a request may set, with this model's own defaults."""
        return tuple(
            replace(item, default=self.postprocessing.get(item.name, item.default))
            for item in parameters_of(HEADS[self.head].parameters)
            if item.name != "diameter_px" or self.network_diameter_px > 0
        )


# Stands for the model of jobs that need none, because labels are given.
NO_MODEL = ModelCard(name="", versions=(), pipeline="")


def card_from_config(config: Mapping[str, Any], versions: list[str]) -> ModelCard:
    """Read a model card from a Triton model configuration.

    Args:
        config: the configuration as JSON-like dictionaries (ModelConfig with original names).
        versions: versions that are ready.

    Raises:
        PermanentError: a `kiosk.*` parameter is missing or not of its kind.
    """
    values = {
        key: str(value.get("string_value", ""))
        for key, value in config.get("parameters", {}).items()
        if key.startswith("kiosk.")
    }
    if values.get("kiosk.pipeline") == LINKING:
        values = _OF_PLANES | values
    name = str(config["name"])
    inputs = {str(item["name"]): str(item["data_type"]) for item in config.get("input", [])}
    try:
        card = ModelCard(
            name=name,
            versions=tuple(sorted(versions, key=int)),
            pipeline=values["kiosk.pipeline"],
            head=values.get("kiosk.head", "distance"),
            display_name=values.get("kiosk.display_name", name),
            description=values.get("kiosk.description", ""),
            licence=values.get("kiosk.licence", ""),
            channels=tuple(c.strip() for c in values["kiosk.channels"].split(",")),
            accepts_rgb=values.get("kiosk.accepts_rgb", "false") == "true",
            tile_px=int(values["kiosk.tile_px"]),
            divisor_px=int(values["kiosk.divisor_px"]),
            halo_px=int(values["kiosk.halo_px"]),
            low_percentile=float(values["kiosk.low_percentile"]),
            high_percentile=float(values["kiosk.high_percentile"]),
            object_diameter_px=_pair(values.get("kiosk.object_diameter_px", "0,0")),
            network_diameter_px=float(values.get("kiosk.network_diameter_px", 0)),
            map_bytes=sum(_map_bytes(item) for item in config.get("output", [])) or 2,
            image_dtype=_IMAGE_DTYPES[inputs.get("image", "TYPE_UINT16")],
            takes_limits=not inputs or "limits" in inputs,
            postprocessing=_group(values, "kiosk.postprocessing."),
            weights_sha256={
                key.rsplit(".", 1)[1]: value
                for key, value in values.items()
                if key.startswith("kiosk.weights_sha256.")
            },
        )
        _check(card)
        return card
    except (KeyError, ValueError) as error:
        raise PermanentError(
            f"The configuration of model '{name}' is not complete: {error}."
            " See docs/reference/model-configuration.md."
        ) from error


def _map_bytes(output: Mapping[str, Any]) -> int:
    """Bytes of a map for one pixel; a number of channels that is left open counts as one."""
    channels = [int(length) for length in output.get("dims", [])][:-2]
    per_value = _MAP_BYTES.get(str(output.get("data_type")), 4)
    return per_value * math.prod(max(1, length) for length in channels)


def _check(card: ModelCard) -> None:
    if card.head not in HEADS:
        raise ValueError(f"kiosk.head must be one of {', '.join(HEADS)}, not '{card.head}'")
    if not card.versions:
        raise ValueError("no version of it is ready")
    if card.divisor_px < 1 or card.halo_px < 0 or card.tile_px % card.divisor_px:
        raise ValueError("kiosk.tile_px must be a multiple of kiosk.divisor_px")
    if card.tile_px <= 4 * card.halo_px:
        raise ValueError("kiosk.tile_px must be more than four times kiosk.halo_px")
    if not 0 <= card.network_diameter_px <= 2000:
        raise ValueError("kiosk.network_diameter_px must be from 0 to 2000")
    if not 0 <= card.low_percentile < card.high_percentile <= 100:
        raise ValueError("the percentiles must be in order, within 0 and 100")


def _pair(text: str) -> tuple[float, float]:
    low, high = text.split(",")
    return float(low), float(high)


def _group(values: Mapping[str, str], prefix: str) -> dict[str, float]:
    return {k.removeprefix(prefix): float(v) for k, v in values.items() if k.startswith(prefix)}
