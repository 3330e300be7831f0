"""Fine-tune a served model on a few annotated images: what `kiosk train` runs.

The new version goes into the model repository with its configuration, model card and learning
curves; a running kiosk finds it there by itself.
"""

from __future__ import annotations

import hashlib
import itertools
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from kiosk.errors import InvalidRequest
from kiosk.heads import InstanceParameters
from kiosk.imaging.scaling import diameters_px, scale_for
from kiosk.parameters import chosen
from training.adapted_card import Adaptation, adapted_card
from training.dataset import CropDataset, LabelledPlane
from training.evaluation import pooled_counts, predict_maps
from training.export import export, load_network, sha256_of
from training.folders import read_folder
from training.model_folder import ModelFolder, read_model_folder, write_version
from training.progress import Report
from training.served import folded_network
from training.settings import TrainingSettings
from training.train import Run, best_device

HELD_OUT_EVERY = 5
STEPS = 500
LEARNING_RATE = 5e-4

MERGE_HEIGHTS = (0.08, 0.15, 0.25, 0.35)
SMOOTHINGS_PX = (1.0, 1.5, 3.0)


@dataclass(frozen=True)
class Request:
    """What to train, on what, and where it goes.

    Attributes:
        base: model folder of the repository to begin with; base_version "" = latest.
        data: folder of annotated images, see `training.folders`.
        out: `<repository>/<model>/<version>`.
        work: where the run keeps its state, so that it can go on after a break.
    """

    base: Path
    data: Path
    out: Path
    work: Path
    base_version: str = ""
    channel: str = ""
    steps: int = STEPS
    learning_rate: float = LEARNING_RATE
    seed: int = 1


def adapt(request: Request, report: Report) -> Adaptation:
    """Fine-tune, choose post-processing, write the model version. Raises InvalidRequest."""
    _check_out(request.out)
    base = read_model_folder(request.base)
    _check_base(base)
    planes = read_folder(request.data, base.card, request.channel)
    training, held_out = hold_out(planes)
    instances = sum(int(plane.labels.max()) for plane in planes)
    report.say(f"{len(planes)} images with {instances} cells; {len(held_out)} kept for checking")
    # One scale for all images, as a job has it when its caller gives the diameter.
    diameter_px = round(float(np.median(all_diameters_px(planes))), 1)
    network_diameter_px = base.card.network_diameter_px or diameter_px
    scale = scale_for(diameter_px, network_diameter_px)
    parameters = chosen(InstanceParameters, base.card.postprocessing, {})
    network = folded_network(base.weights(request.base_version))
    device = best_device()
    network.to(device)
    before = pooled_counts(held_out, _maps(network, held_out, device, scale), parameters)
    report.say(f"before: F1 {before.f1:.3f} at IoU 0.5 on the images kept for checking")

    # Named after all that decides the outcome: a run goes on only where the same one stopped.
    run = Run(request.work / _fingerprint(request, planes), _settings(request), device, network)
    run.log = run.log or [{"step": 0, "f1": before.f1}]

    def validate(trained) -> dict[str, float]:
        return {
            "f1": pooled_counts(held_out, _maps(trained, held_out, device, scale), parameters).f1
        }

    scales = [scale] * len(training)
    run.fit(CropDataset(training, request.seed + run.step, scales), validate, report)
    trained = load_network(run.state_file).to(device)
    tuned = tune(planes, _maps(trained, planes, device, scale), parameters)
    after = pooled_counts(held_out, _maps(trained, held_out, device, scale), tuned)
    report.say(f"after: F1 {after.f1:.3f}")
    adaptation = Adaptation(
        base=f"{base.card.name}:{request.base_version or base.card.default_version}",
        model=request.out.parent.name,
        version=request.out.name,
        images=len(planes),
        held_out=len(held_out),
        instances=instances,
        steps=run.step,
        before=before,
        after=after,
        parameters=replace(tuned, diameter_px=diameter_px),
        diameters_px=diameter_range_px(planes),
        network_diameter_px=network_diameter_px,
    )
    _write(request, base, run, trained, adaptation)
    shutil.rmtree(run.out)
    return adaptation


def hold_out(planes: Sequence[LabelledPlane]) -> tuple[list[LabelledPlane], list[LabelledPlane]]:
    """Every fifth image is kept for checking; of fewer than three, all do both."""
    if len(planes) < 3:
        return list(planes), list(planes)
    kept = range(HELD_OUT_EVERY // 2, len(planes), HELD_OUT_EVERY)
    return (
        [plane for i, plane in enumerate(planes) if i not in kept],
        [planes[i] for i in kept],
    )


def tune(planes, maps, start: InstanceParameters) -> InstanceParameters:
    """Smoothing and merge height with the highest F1 over all annotated images."""
    smallest_px2 = int(np.pi / 4 * all_diameters_px(planes).min() ** 2 + 0.5)
    start = replace(start, min_area_px=min(start.min_area_px, smallest_px2))
    candidates = [
        replace(start, smoothing_px=smoothing, merge_height=height)
        for smoothing, height in itertools.product(SMOOTHINGS_PX, MERGE_HEIGHTS)
    ]
    return max([start, *candidates], key=lambda one: pooled_counts(planes, maps, one).f1)


def all_diameters_px(planes: Sequence[LabelledPlane]) -> np.ndarray:
    """Diameter of every annotated instance."""
    return np.concatenate([diameters_px(plane.labels) for plane in planes])


def diameter_range_px(planes: Sequence[LabelledPlane]) -> tuple[int, int]:
    """5th and 95th percentile of the diameters."""
    low, high = np.percentile(all_diameters_px(planes), [5, 95])
    return round(float(low)), round(float(high))


def _check_out(out: Path) -> None:
    if not out.name.isdigit() or int(out.name) < 1:
        raise InvalidRequest(
            f"'{out}' must end in a version number, as in model_repository/mycells/1."
        )
    if out.exists():
        raise InvalidRequest(
            f"'{out}' exists already; give the next version number or another model name."
        )


def _check_base(base: ModelFolder) -> None:
    if base.card.head != "distance":
        raise InvalidRequest(
            f"The model '{base.card.name}' has the head '{base.card.head}'; only models with the"
            " head 'distance' can be trained further here."
        )


def _fingerprint(request: Request, planes: Sequence[LabelledPlane]) -> str:
    digest = hashlib.sha256(repr((request.base, request.base_version, request.channel)).encode())
    digest.update(repr((request.steps, request.learning_rate, request.seed)).encode())
    for plane in planes:
        digest.update(plane.name.encode())
        digest.update(np.ascontiguousarray(plane.pixels).data)
        digest.update(np.ascontiguousarray(plane.labels).data)
    return digest.hexdigest()[:16]


def _settings(request: Request) -> TrainingSettings:
    return TrainingSettings(
        steps=request.steps,
        learning_rate=request.learning_rate,
        seed=request.seed,
        warmup_steps=min(50, request.steps // 4),
        average_decay=0.99,
        validate_every=max(25, request.steps // 8),
    )


def _maps(network, planes, device: str, scale: float) -> list[np.ndarray]:
    return predict_maps(network, planes, device, [scale] * len(planes))


def _write(request: Request, base: ModelFolder, run: Run, network, found: Adaptation) -> None:
    weights = run.out / "model.onnx"
    export(network.cpu(), weights)
    low, high = found.diameters_px
    # A halo as wide as a cell, so that no tile border cuts through what the network must see.
    scale = scale_for(found.parameters.diameter_px, found.network_diameter_px)
    halo_px = max(base.card.halo_px, -(-round(high * scale) // 32) * 32)
    parameters = {
        "kiosk.display_name": request.out.parent.name,
        "kiosk.description": f"Fine-tuned from {found.base} on {found.images} annotated images.",
        "kiosk.object_diameter_px": f"{low},{high}",
        "kiosk.halo_px": str(halo_px),
        "kiosk.network_diameter_px": f"{found.network_diameter_px:g}",
        f"kiosk.weights_sha256.{request.out.name}": sha256_of(weights),
        **{
            f"kiosk.postprocessing.{name}": f"{float(value):g}"
            for name, value in asdict(found.parameters).items()
            if name in base.card.postprocessing or name == "diameter_px"
        },
    }
    curves = {"curves.png": run.out / "curves.png"}
    write_version(request.out, base, weights, parameters, curves, adapted_card(found))
