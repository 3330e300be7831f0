"""`ports.InferenceClient` without Triton: bright pixels are foreground."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from kiosk.errors import MODEL_SERVER_AWAY, Outage
from kiosk.imaging.link_scores import geometric_scores
from kiosk.models import LINKING, ModelCard
from kiosk.testing.maps import MAP_MAKERS


def make_card(name: str = "bright", **changes: object) -> ModelCard:
    """A model card for `FakeInference`: small tiles, so that small images need several."""
    values: dict[str, object] = {
        "name": name,
        "versions": ("1", "2"),
        "pipeline": "segmentation",
        "display_name": "Bright spots",
        "description": "Everything brighter than half of the range.",
        "channels": ("image",),
        "accepts_rgb": True,
        "tile_px": 128,
        "divisor_px": 16,
        "halo_px": 16,
        "low_percentile": 0.0,
        "high_percentile": 100.0,
        "postprocessing": {"smoothing_px": 0.0, "min_area_px": 1.0},
    }
    return ModelCard(**{**values, **changes})  # type: ignore[arg-type]


class FakeInference:
    """`ports.InferenceClient` with a 'network' that calls bright pixels foreground.

    It answers in the form of the head of the model that is asked for; a linking 'network' scores
    by positions and shapes.

    Attributes:
        cards: the models that are 'ready'.
        calls: shapes of the tiles that came in.
        linked: versions of linking networks that were asked, one per call.
        failures: errors to raise, one per call, before answering normally.
        loading: names of models that are not loaded at present.
    """

    def __init__(self, cards: Sequence[ModelCard] | None = None) -> None:
        self.cards = list(cards) if cards is not None else [make_card()]
        self.calls: list[tuple[int, ...]] = []
        self.linked: list[str] = []
        self.failures: list[Exception] = []
        self.is_down = False
        self.loading: list[str] = []

    async def models(self) -> list[ModelCard]:
        await self.check()
        return self.cards

    async def absent(self) -> set[str]:
        return set(self.loading)

    async def check(self) -> None:
        if self.is_down:
            raise Outage("The model server (Triton) does not answer.", reason=MODEL_SERVER_AWAY)

    async def infer(
        self, model: str, version: str, inputs: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        asked = next((card for card in self.cards if card.name == model), None)
        if asked is not None and asked.pipeline == LINKING:
            self.linked.append(version)
            return geometric_scores(dict(inputs))
        self.calls.append(inputs["image"].shape)
        if self.failures:
            raise self.failures.pop(0)
        low, high = inputs["limits"][0] if "limits" in inputs else (0, 1)
        grey = inputs["image"].astype(np.float32).mean(axis=1)
        scaled = np.clip((grey - low) / (high - low), 0, 1)
        bright = np.where(scaled >= 0.5, 255, 0).astype(np.uint8)
        head = asked.head if asked is not None else "distance"
        if head == "distance":
            return {"foreground": bright, "distance": bright}
        _, labels = cv2.connectedComponents(bright[0], connectivity=8)
        return {name: array[None] for name, array in MAP_MAKERS[head](labels).items()}
