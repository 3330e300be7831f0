"""Train a model: `python -m training.train --data DIR [DIR ...] --out DIR`.

Ends with `model.onnx`, learning curves and a README with settings, post-processing and accuracy.

Runs on a CPU (bfloat16 where the processor has it) or a GPU, is seeded, saves its state every
few minutes and goes on from there when started again with the same --out. The learning curves
are kept as figures (log.json) and as a picture (curves.png).
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from training.averaging import averaging
from training.curves import draw_curves
from training.dataset import CropDataset, load_split
from training.evaluation import mean_scores, predict_maps, true_scales
from training.finish import finish
from training.network import MapNetwork
from training.progress import Lines, Report
from training.served import begin_with_served
from training.settings import TrainingSettings

CALIBRATION_CROPS = 64

Validate = Callable[[MapNetwork], dict[str, float]]


def loss_of(logits: torch.Tensor, targets: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Cross-entropy and Dice on the foreground, absolute error on the distance."""
    foreground, distance = logits[:, 0], logits[:, 1]
    entropy = F.binary_cross_entropy_with_logits(foreground, targets[:, 0], reduction="none")
    probability = torch.sigmoid(foreground)
    overlap = (probability * targets[:, 0]).sum((1, 2))
    total = probability.sum((1, 2)) + targets[:, 0].sum((1, 2))
    dice = 1 - (2 * overlap + 50) / (total + 50)
    error = (torch.sigmoid(distance) - targets[:, 1]).abs()
    emphasis = weight * (1 + targets[:, 0])
    return (entropy * weight).mean() + 0.5 * dice.mean() + 2.0 * (error * emphasis).mean()


def learning_rate_at(step: int, settings: TrainingSettings) -> float:
    """Linear warm-up, then a half cosine to a hundredth of the peak."""
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / settings.warmup_steps
    share = (step - settings.warmup_steps) / max(1, settings.steps - settings.warmup_steps)
    cosine = 0.5 * (1 + np.cos(min(1.0, share) * np.pi))
    return float(settings.learning_rate * (0.01 + 0.99 * cosine))


class Run:
    """One training run: network, optimiser, averaged weights and log, saved as one file."""

    def __init__(
        self, out: Path, settings: TrainingSettings, device: str, network: MapNetwork
    ) -> None:
        out.mkdir(parents=True, exist_ok=True)
        self.out, self.settings, self.device = out, settings, device
        self.network = network.to(device, memory_format=torch.channels_last)
        self.average = torch.optim.swa_utils.AveragedModel(
            self.network,
            multi_avg_fn=averaging(settings.average_decay),
            use_buffers=True,
        )
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
        )
        self.step = 0
        self.log: list[dict[str, float]] = []
        if self.state_file.exists():
            self._load()

    def begin_with(self, start: Path, dataset: CropDataset) -> None:
        """Start from a served model (ONNX) or from the averaged weights of another run."""
        if start.suffix == ".onnx":
            random = np.random.default_rng(self.settings.seed)
            pixels = torch.stack([dataset.sample(random)[0] for _ in range(CALIBRATION_CROPS)])
            begin_with_served(self.network, start, pixels.to(self.device))
        else:
            saved = torch.load(start, map_location=self.device, weights_only=True)["average"]
            self.average.load_state_dict(saved)
            self.network.load_state_dict(self.average.module.state_dict())

    @property
    def state_file(self) -> Path:
        return self.out / "state.pt"

    def save(self) -> None:
        state = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "log": self.log,
        }
        torch.save(state, self.state_file.with_suffix(".tmp"))
        self.state_file.with_suffix(".tmp").replace(self.state_file)
        (self.out / "settings.json").write_text(json.dumps(asdict(self.settings), indent=2))
        (self.out / "log.json").write_text(json.dumps(self.log, indent=1))
        draw_curves(self.log, self.out / "curves.png")

    def _load(self) -> None:
        state = torch.load(self.state_file, map_location=self.device, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.log = state["step"], state["log"]

    def fit(self, dataset: CropDataset, validate: Validate, report: Report) -> None:
        """Take the steps that are left; validate and save now and then and at the end."""
        # A CPU is busy with the network, and one worker keeps up; a GPU has to be fed.
        workers = 1 if self.device == "cpu" else max(1, (os.cpu_count() or 2) - 1)
        loader = torch.utils.data.DataLoader(dataset, self.settings.batch, num_workers=workers)
        batches = iter(loader)
        losses: list[float] = []
        while self.step < self.settings.steps:
            losses.append(self._step(batches))
            report.stepped(self.step, self.settings.steps, losses[-1])
            if self.step % self.settings.validate_every == 0 or self.step == self.settings.steps:
                scores = validate(self.average.module)
                self.log.append({"step": self.step, "loss": float(np.mean(losses)), **scores})
                losses.clear()
                report.validated(self.log[-1])
                self.save()

    def _step(self, batches: Iterator[tuple[torch.Tensor, ...]]) -> float:
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate_at(self.step, self.settings)
        pixels, targets, weight = (part.to(self.device) for part in next(batches))
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        self.network.train()
        with torch.autocast(self.device, torch.bfloat16):
            logits = self.network(pixels)
        loss = loss_of(logits.float(), targets, weight)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimiser.step()
        self.average.update_parameters(self.network)
        self.step += 1
        return loss.item()


def best_device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def train(
    data: list[Path],
    out: Path,
    settings: TrainingSettings,
    start: Path | None,
    without: Sequence[str] = (),
) -> None:
    """Train on the training split of the data folders and keep the run in `out`."""
    device = best_device()
    training, validation = load_split(data, "train", without)
    print(f"{len(training)} training and {len(validation)} validation planes", flush=True)
    torch.manual_seed(settings.seed)
    run = Run(out, settings, device, MapNetwork())
    scales = true_scales(training, settings.network_diameter_px)
    dataset = CropDataset(training, settings.seed + run.step, scales)
    if start is not None and run.step == 0:
        run.begin_with(start, dataset)

    validation_scales = true_scales(validation, settings.network_diameter_px)

    def validate(network: MapNetwork) -> dict[str, float]:
        maps = predict_maps(network, validation, device, validation_scales)
        return mean_scores(validation, maps)

    run.fit(dataset, validate, Lines())
    card = finish(out, run.state_file, validation, settings, device)
    print(f"The model is {out / 'model.onnx'}, what it can do is in {card}.", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, required=True, nargs="+", help="folders with train/ and index.csv"
    )
    parser.add_argument("--out", type=Path, required=True, help="where state and logs go")
    parser.add_argument(
        "--without",
        nargs="+",
        default=[],
        metavar="MODALITY",
        help="leave these out, to see what a network can do that has never seen them",
    )
    parser.add_argument("--steps", type=int, default=TrainingSettings.steps)
    parser.add_argument("--batch", type=int, default=TrainingSettings.batch, help="crops per step")
    parser.add_argument("--learning-rate", type=float, default=TrainingSettings.learning_rate)
    parser.add_argument("--seed", type=int, default=TrainingSettings.seed)
    parser.add_argument(
        "--diameter-px",
        type=float,
        default=TrainingSettings.network_diameter_px,
        help="images are brought to the scale at which their instances have about this diameter;"
        " 0 = left as they are",
    )
    parser.add_argument("--start", type=Path, help="model.onnx or state.pt to begin with")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads, 0 = all")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    settings = TrainingSettings(
        steps=arguments.steps,
        batch=arguments.batch,
        learning_rate=arguments.learning_rate,
        seed=arguments.seed,
        network_diameter_px=arguments.diameter_px,
    )
    train(arguments.data, arguments.out, settings, arguments.start, arguments.without)


if __name__ == "__main__":
    main()
