"""What a training run ends with: ONNX file, post-processing, and the begin of a model card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from kiosk.heads import InstanceParameters
from training.card import accuracy_tables, with_section
from training.dataset import LabelledPlane
from training.evaluation import measured_scales, predict_maps, scores_by_modality
from training.export import export, load_network, sha256_of, verify
from training.settings import TrainingSettings
from training.tune import best_parameters


def finish(
    out: Path,
    state: Path,
    validation: Sequence[LabelledPlane],
    settings: TrainingSettings,
    device: str,
) -> Path:
    """Write model.onnx and README.md into the folder of a run; the path of the latter.

    The validation planes are treated as the running kiosk does: their scale is measured.
    """
    network = load_network(state)
    export(network, out / "model.onnx")
    difference = verify(network, out / "model.onnx")
    network.to(device)
    scales = measured_scales(network, validation, device, settings.network_diameter_px)
    maps = predict_maps(network, validation, device, scales)
    parameters = best_parameters(validation, maps)
    scores = scores_by_modality(validation, maps, parameters)
    card = _card(settings, parameters, sha256_of(out / "model.onnx"), difference)
    tables = accuracy_tables(dict(sorted(scores.items())), {})
    (out / "README.md").write_text(with_section(card, "validation", tables))
    return out / "README.md"


def _card(
    settings: TrainingSettings, parameters: InstanceParameters, sha256: str, difference: float
) -> str:
    keys = ("foreground_threshold", "smoothing_px", "merge_height", "peak_threshold", "min_area_px")
    chosen = "\n".join(
        f"    kiosk.postprocessing.{name}: {float(value):g}"
        for name, value in asdict(parameters).items()
        if name in keys
    )
    return f"""# The model of this run

Settings: `{settings}`.

SHA-256 of `model.onnx`: `{sha256}`.
Its maps differ from PyTorch's by at most {difference:g} of 255.

Post-processing with the highest F1 on the validation images, for `config.pbtxt`:

{chosen}

![Learning curves](curves.png)

## Accuracy on the validation images
"""
