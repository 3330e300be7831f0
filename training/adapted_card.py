"""The model card of a fine-tuned model."""

from __future__ import annotations

from dataclasses import dataclass

from kiosk.heads import InstanceParameters
from kiosk.imaging.matching import MatchCounts


@dataclass(frozen=True)
class Adaptation:
    """What fine-tuning did; `before` and `after` are matches at IoU 0.5 on held-out images."""

    base: str
    model: str
    version: str
    images: int
    held_out: int
    instances: int
    steps: int
    before: MatchCounts
    after: MatchCounts
    parameters: InstanceParameters
    diameters_px: tuple[int, int]
    network_diameter_px: float


def adapted_card(found: Adaptation) -> str:
    """README.md of the model, with its figures and their limits."""
    rows = "\n".join(
        f"| {name} | {c.precision:.3f} | {c.recall:.3f} | {c.f1:.3f} | {c.average_precision:.3f} |"
        for name, c in (("before", found.before), ("after", found.after))
    )
    low, high = found.diameters_px
    caution = (
        "All images were used for both training and checking: the figures say nothing about"
        " images that the model has not seen."
        if found.held_out == found.images
        else f"Measured on {found.held_out} of the images, which were not trained on; with so few,"
        " take the figures as a hint. Post-processing was chosen on all of the images."
    )
    return f"""# {found.model}

Fine-tuned from `{found.base}` with `kiosk train`.

## Accuracy of version {found.version}

| | precision | recall | F1 | AP |
| --- | --- | --- | --- | --- |
{rows}

At IoU 0.5. {caution}

![Learning curves](curves.png)

## Good for, and not

Made for images like the {found.images} it was trained on ({found.instances} cells, most of them
{low} to {high} px wide, {found.parameters.diameter_px:g} px in the middle). For another
magnification set `diameter_px`. Check the overlay before you trust counts on anything else.

## How it was made

{found.steps} steps from the weights of `{found.base}`; the data are not part of this repository:
write here where they come from and under which licence.
"""
