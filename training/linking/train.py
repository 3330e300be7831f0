"""Train the linking network: `python -m training.linking.train --data DIR ... --out DIR`.

Runs on a CPU, is seeded, saves its state now and then and goes on from there when started again
with the same --out. Made-up movies are made first and kept in --movies.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from training.averaging import averaging
from training.linking.network import LinkNetwork
from training.linking.truth import TrueMovie, made_up_movies, read_sequence
from training.linking.windows import Window, draw_window
from training.progress import Lines


@dataclass(frozen=True)
class LinkSettings:
    """What decides the outcome.

    Attributes:
        batch: windows per step; real_share: how many of them are from real sequences, if any.
    """

    movies: int = 360
    steps: int = 2_500
    batch: int = 3
    real_share: float = 0.25
    learning_rate: float = 2e-3
    weight_decay: float = 1e-3
    warmup_steps: int = 50
    average_decay: float = 0.997
    seed: int = 1


def loss_of(network: LinkNetwork, window: Window) -> torch.Tensor:
    """Cross-entropy over the sources that each instance may have or not, and over divisions.

    Every round answers, so that every round learns; the last counts most.
    """
    graph = window.graph
    links, division = network(**graph)
    incoming = graph["incoming"]
    padded = torch.cat([window.is_link, window.is_link.new_zeros(1)])[incoming]
    answer = torch.cat([padded, 1 - padded.sum(1, keepdim=True)], 1)
    total = torch.zeros(())
    for number, link in enumerate(links):
        odds = torch.cat([link, link.new_full((1,), -30.0)])[incoming]
        odds = torch.cat([odds, torch.zeros_like(odds[:, :1])], 1)
        entropy = -(answer * torch.log_softmax(odds, 1)).sum(1)[window.counts]
        total = total + entropy.mean() * (1.0 if number == len(links) - 1 else 0.3)
    pairs = F.binary_cross_entropy_with_logits(division, window.is_division, reduction="none")
    return total + 3 * pairs[window.pair_counts].sum() / max(1, int(window.counts.sum()))


class Run:
    """One training run, saved as one file."""

    def __init__(self, out: Path, settings: LinkSettings, start: Path | None = None) -> None:
        out.mkdir(parents=True, exist_ok=True)
        self.out, self.settings, self.step = out, settings, 0
        torch.manual_seed(settings.seed)
        self.network = LinkNetwork()
        if start is not None:
            begin_with(self.network, start)
        self.average = torch.optim.swa_utils.AveragedModel(
            self.network,
            multi_avg_fn=averaging(settings.average_decay),
        )
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
        )
        if self.state_file.exists():
            state = torch.load(self.state_file, weights_only=True)
            self.network.load_state_dict(state["network"])
            self.average.load_state_dict(state["average"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.step = state["step"]

    @property
    def state_file(self) -> Path:
        return self.out / "state.pt"

    def save(self) -> None:
        state = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
        }
        torch.save(state, self.state_file.with_suffix(".tmp"))
        self.state_file.with_suffix(".tmp").replace(self.state_file)
        (self.out / "settings.json").write_text(json.dumps(asdict(self.settings), indent=2))

    def fit(self, made_up: list[TrueMovie], real: list[TrueMovie]) -> None:
        """Take the steps that are left."""
        lines = Lines()
        settings = self.settings
        while self.step < settings.steps:
            random = np.random.default_rng((settings.seed, self.step))
            rate = settings.learning_rate * _share_of_rate(self.step, settings)
            for group in self.optimiser.param_groups:
                group["lr"] = rate
            losses = []
            self.optimiser.zero_grad(set_to_none=True)
            for _ in range(settings.batch):
                movies = real if real and random.random() < settings.real_share else made_up
                window = draw_window(movies[random.integers(len(movies))], random)
                if window is None or not bool(window.counts.any()):
                    continue
                loss = loss_of(self.network, window)
                (loss / settings.batch).backward()
                losses.append(loss.item())
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
            self.optimiser.step()
            self.average.update_parameters(self.network)
            self.step += 1
            lines.stepped(self.step, settings.steps, float(np.mean(losses or [0])))
            if self.step % 250 == 0 or self.step == settings.steps:
                self.save()


def _share_of_rate(step: int, settings: LinkSettings) -> float:
    """Linear warm-up, then a half cosine to a hundredth."""
    if step < settings.warmup_steps:
        return (step + 1) / settings.warmup_steps
    share = (step - settings.warmup_steps) / max(1, settings.steps - settings.warmup_steps)
    return float(0.01 + 0.99 * 0.5 * (1 + np.cos(min(1.0, share) * np.pi)))


def begin_with(network: LinkNetwork, state: Path) -> None:
    """Take over the weights of another run, where they have the same shape."""
    own = network.state_dict()
    saved = torch.load(state, weights_only=True)["average"]
    given = {k.removeprefix("module."): v for k, v in saved.items()}
    fitting = {k: v for k, v in given.items() if k in own and own[k].shape == v.shape}
    network.load_state_dict(own | fitting)


def load_network(state: Path) -> LinkNetwork:
    """The averaged network of a run, in evaluation mode."""
    saved = torch.load(state, weights_only=True)["average"]
    network = LinkNetwork()
    network.load_state_dict(
        {k.removeprefix("module."): v for k, v in saved.items() if k.startswith("module.")}
    )
    return network.eval()


def main() -> None:
    defaults = LinkSettings()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="labelled images")
    parser.add_argument("--sequences", type=Path, nargs="*", default=[], help="e.g. NAME/01")
    parser.add_argument("--movies", type=Path, required=True, help="where made-up movies are kept")
    parser.add_argument("--out", type=Path, required=True, help="where the run is kept")
    parser.add_argument("--steps", type=int, default=defaults.steps)
    parser.add_argument("--movie-count", type=int, default=defaults.movies)
    parser.add_argument("--start", type=Path, help="state.pt of a run to begin with")
    parser.add_argument("--learning-rate", type=float, default=defaults.learning_rate)
    parser.add_argument("--real-share", type=float, default=defaults.real_share)
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    settings = LinkSettings(
        steps=arguments.steps,
        movies=arguments.movie_count,
        learning_rate=arguments.learning_rate,
        real_share=arguments.real_share,
        seed=arguments.seed,
    )
    begun = time.monotonic()
    made_up = made_up_movies(arguments.movies, arguments.data, settings.movies, settings.seed)
    real = [read_sequence(folder) for folder in arguments.sequences]
    print(f"{len(made_up)} made-up, {len(real)} real movies, {time.monotonic() - begun:.0f} s")
    Run(arguments.out, settings, arguments.start).fit(made_up, real)


if __name__ == "__main__":
    main()
