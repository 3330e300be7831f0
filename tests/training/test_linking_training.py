"""What the linking network learns from, and how it is written down."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from training.linking.cutouts import Cutout, blob  # noqa: E402
from training.linking.export import example_graph, export, verify  # noqa: E402
from training.linking.network import LinkNetwork  # noqa: E402
from training.linking.train import loss_of  # noqa: E402
from training.linking.truth import TrueMovie, made_up_movie, true_sources  # noqa: E402
from training.linking.windows import Window, draw_window  # noqa: E402


@pytest.fixture(scope="module")
def cutouts() -> dict[str, list[Cutout]]:
    random = np.random.default_rng(0)
    bodies = [blob(random, 1.0) for _ in range(4)]
    return {"fluorescence": bodies, "phase": bodies}


@pytest.fixture(scope="module")
def movie(cutouts: dict[str, list[Cutout]]) -> TrueMovie:
    return made_up_movie(cutouts, 5)


def test_movies_are_seeded(cutouts: dict[str, list[Cutout]], movie: TrueMovie) -> None:
    again = made_up_movie(cutouts, 5)
    assert again.parents == movie.parents
    for a, b in zip(again.frames, movie.frames, strict=True):
        assert np.array_equal(a.patches, b.patches)


def test_movies_go_through_a_file(movie: TrueMovie, tmp_path: Path) -> None:
    movie.save(tmp_path / "movie.npz")
    read = TrueMovie.load(tmp_path / "movie.npz")
    assert read.parents == movie.parents
    assert len(read.frames) == len(movie.frames)
    for a, b in zip(read.tracks, movie.tracks, strict=True):
        assert np.array_equal(a, b)


def test_sources_are_the_last_of_the_cell_or_of_its_mother() -> None:
    tracks = [np.array([1, 2]), np.array([2]), np.array([3, 4, 1, 0])]
    source, frame = true_sources(tracks, {1: 0, 2: 0, 3: 2, 4: 2})
    assert source.tolist() == [-1, -1, 1, 2, 2, 0, -1]
    assert frame.tolist() == [0, 0, 1, 2, 2, 2, 2]


def windows(movie: TrueMovie, count: int) -> list[Window]:
    random = np.random.default_rng(1)
    found = [draw_window(movie, random) for _ in range(count)]
    return [window for window in found if window is not None]


def test_an_instance_has_one_source_at_most(movie: TrueMovie) -> None:
    for window in windows(movie, 10):
        per_target = np.bincount(window.graph["target"], window.is_link)
        assert per_target.max() <= 1
        divided = window.graph["pairs"][window.is_division > 0]
        assert bool(torch.all(window.is_link[divided] > 0))


def test_the_network_learns(movie: TrueMovie) -> None:
    torch.manual_seed(0)
    network = LinkNetwork(width=16, rounds=2)
    optimiser = torch.optim.Adam(network.parameters(), 5e-3)
    training = windows(movie, 6)

    def loss() -> torch.Tensor:
        return torch.stack([loss_of(network, window) for window in training]).mean()

    before = loss().item()
    for _ in range(15):
        optimiser.zero_grad()
        loss().backward()
        optimiser.step()
    assert loss().item() < 0.7 * before


def test_the_turn_of_the_movie_does_not_matter() -> None:
    torch.manual_seed(0)
    network = LinkNetwork().eval()
    graph = {k: torch.from_numpy(v) for k, v in example_graph(10, 4, seed=2).items()}
    turned = dict(graph)
    turned["displacement"] = graph["displacement"][:, [0, 2, 1]] * torch.tensor([1.0, -1.0, 1.0])
    with torch.no_grad():
        links, division = network(**graph)
        links_turned, division_turned = network(**turned)
    torch.testing.assert_close(links[-1], links_turned[-1])
    torch.testing.assert_close(division, division_turned)


def test_the_served_file_answers_like_the_network(tmp_path: Path) -> None:
    torch.manual_seed(1)
    network = LinkNetwork().eval()
    export(network, tmp_path / "model.onnx")
    assert verify(network, tmp_path / "model.onnx") < 1e-3
