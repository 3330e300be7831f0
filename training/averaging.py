"""The average of a run's weights, which is what becomes a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch

Tensors: TypeAlias = list[torch.Tensor]


def averaging(decay: float) -> Callable[..., None]:
    """Exponential average of weights that does not remember what a run began with.

    It looks back over a ninth of the steps taken, and at most as far as `decay` does: a network
    that begins at random would else be poor for thousands of steps.
    """

    def average(
        averaged: list[torch.Tensor], current: list[torch.Tensor], taken: torch.Tensor
    ) -> None:
        share = min(decay, (1 + int(taken)) / (10 + int(taken)))
        torch.optim.swa_utils.get_ema_multi_avg_fn(share)(averaged, current, taken)

    return average
