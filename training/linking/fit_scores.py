"""Fit the geometric score: `python -m training.linking.fit_scores --movies DIR`.

Prints the weights that stand in `kiosk/imaging/link_scores.py`. Takes two minutes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from kiosk.imaging.link_scores import DIVISION, LINK, division_terms, link_terms
from training.linking.train import loss_of
from training.linking.truth import TrueMovie
from training.linking.windows import draw_window

STEPS = 3_000
WINDOWS = 2
LEARNING_RATE = 0.05
LONGEST_GAP = 2
# Made-up movies have more that only looks like a division than real ones, and a division that is
# missed costs two wrong links, one that is made up costs one.
MORE_DIVISIONS = 1.0


class Regressions(torch.nn.Module):
    """Both regressions, in the shape in which the network's loss wants its answers."""

    def __init__(self) -> None:
        super().__init__()
        self.link = torch.nn.Parameter(torch.zeros(len(LINK), dtype=torch.float64))
        self.division = torch.nn.Parameter(torch.zeros(len(DIVISION), dtype=torch.float64))

    def forward(self, **graph: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor]:
        arrays = {name: tensor.numpy() for name, tensor in graph.items()}
        link = torch.from_numpy(link_terms(arrays)) @ self.link
        terms = division_terms(arrays, link.detach().numpy())
        return [link.float()], (torch.from_numpy(terms) @ self.division).float()


def fit(movies: list[TrueMovie], seed: int) -> Regressions:
    """Adam on the windows that the network learns from."""
    random = np.random.default_rng(seed)
    regressions = Regressions()
    optimiser = torch.optim.Adam(regressions.parameters(), LEARNING_RATE)
    for step in range(STEPS):
        for group in optimiser.param_groups:
            group["lr"] = LEARNING_RATE * (1.01 - step / STEPS)
        optimiser.zero_grad()
        for _ in range(WINDOWS):
            movie = movies[random.integers(len(movies))]
            window = draw_window(movie, random, LONGEST_GAP)
            if window is not None and bool(window.counts.any()):
                loss_of(regressions, window).backward()
        torch.nn.utils.clip_grad_norm_(regressions.parameters(), 1.0)
        optimiser.step()
    return regressions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--movies", type=Path, required=True, help="made by training.linking.train")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    paths = sorted(arguments.movies.glob("movie_*.npz"))
    found = fit([TrueMovie.load(path) for path in paths], arguments.seed)
    for name, weights in (("LINK", found.link), ("DIVISION", found.division)):
        table = dict(zip(LINK if name == "LINK" else DIVISION, weights.tolist()))
        if name == "DIVISION":
            table["constant"] += MORE_DIVISIONS
        print(f"{name} = {{")
        for key, weight in table.items():
            print(f'    "{key}": {weight:.3f},')
        print("}")


if __name__ == "__main__":
    main()
