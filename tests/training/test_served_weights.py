"""Weights come out of a served file as they went in."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from training.export import export, verify  # noqa: E402
from training.network import MapNetwork  # noqa: E402
from training.served import begin_with_served, folded_network  # noqa: E402

NARROW, WIDE = (8, 8, 16, 16, 24), (8, 16, 24, 24, 32)
MODELS = Path(__file__).parents[2] / "model_repository"


@pytest.fixture
def served(tmp_path: Path) -> tuple[MapNetwork, Path]:
    """A network whose normalisation has seen something, and its served file."""
    torch.manual_seed(3)
    network = MapNetwork(NARROW)
    for _ in range(3):
        network(torch.rand(2, 3, 64, 64))
    path = tmp_path / "model.onnx"
    export(network.eval(), path)
    return network, path


def test_the_served_file_answers_like_the_network(served: tuple[MapNetwork, Path]) -> None:
    assert verify(*served) <= 1  # of 255: weights are rounded to float16


def test_read_back_it_is_the_same_network(served: tuple[MapNetwork, Path]) -> None:
    network, path = served
    pixels = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        torch.testing.assert_close(
            folded_network(path).eval()(pixels), network(pixels), atol=5e-3, rtol=1e-2
        )


@pytest.mark.parametrize("channels", [NARROW, WIDE])
def test_a_wider_network_begins_with_the_same_answer(
    served: tuple[MapNetwork, Path], channels: tuple[int, ...]
) -> None:
    _, path = served
    torch.manual_seed(4)
    wider, pixels = MapNetwork(channels), torch.rand(2, 3, 64, 64)
    begin_with_served(wider, path, pixels)
    with torch.no_grad():
        expected = folded_network(path).eval()(pixels)
        torch.testing.assert_close(wider.eval()(pixels), expected, atol=1e-4, rtol=1e-3)


SHIPPED = [path for path in sorted(MODELS.glob("*/*/model.onnx")) if "linking" not in path.parts]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: str(p)[-22:])
def test_every_shipped_model_with_maps_can_be_trained_further(path: Path) -> None:
    network = folded_network(path)
    assert network(torch.zeros(1, 3, 32, 32)).shape == (1, 2, 32, 32)
