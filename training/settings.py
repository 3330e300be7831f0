"""What decides the outcome of a training run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TrainingSettings:
    """Everything but the data and the first weights; written beside the weights.

    Attributes:
        batch: crops per step.
        network_diameter_px: images are brought to the scale at which their instances have about
            this diameter; 0 = left as they are.
    """

    steps: int = 14_000
    batch: int = 8
    learning_rate: float = 1.5e-3
    weight_decay: float = 1e-2
    warmup_steps: int = 300
    average_decay: float = 0.999
    validate_every: int = 1_000
    seed: int = 1
    network_diameter_px: float = 28.0
