"""The linking network that is shipped: its configuration, and what it answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from movie_makers import discs, image_of, link_set

from kiosk.imaging.candidates import Frame, find_candidates
from kiosk.imaging.detections import detect
from kiosk.imaging.link_graph import link_graph
from kiosk.imaging.linking import Linker
from kiosk.imaging.links import Links
from kiosk.model_check import check_model, read_config
from kiosk.models import card_from_config

FOLDER = Path(__file__).parents[2] / "model_repository" / "linking"
TYPES = {"TYPE_FP32": np.float32, "TYPE_UINT8": np.uint8, "TYPE_INT64": np.int64}


@pytest.fixture(scope="module")
def session() -> object:
    onnxruntime = pytest.importorskip("onnxruntime")
    return onnxruntime.InferenceSession(
        FOLDER / "1" / "model.onnx", providers=["CPUExecutionProvider"]
    )


def graph_of(frames: list[np.ndarray]) -> dict[str, np.ndarray]:
    shown = [
        Frame.of(number, detect(labels, image_of(labels)), np.zeros(2))
        for number, labels in enumerate(frames)
    ]
    return link_graph(shown, find_candidates(shown, 2), (0, len(frames) - 1))


def test_the_card_can_be_read() -> None:
    card = card_from_config(read_config(FOLDER / "config.pbtxt"), ["1"])
    assert card.pipeline == "linking"
    assert set(card.weights_sha256) == {"1"}


@pytest.mark.parametrize("cells", [1, 2, 9])
def test_graphs_are_what_the_configuration_says(cells: int) -> None:
    places = {k + 1: (20 + 40 * (k // 3), 20 + 40 * (k % 3)) for k in range(cells)}
    graph = graph_of([discs(places)] * 3)
    inputs = read_config(FOLDER / "config.pbtxt")["input"]
    assert [item["name"] for item in inputs] == list(graph)
    for item in inputs:
        array = graph[item["name"]]
        assert array.dtype == TYPES[item["data_type"]], item["name"]
        wanted = [int(length) for length in item["dims"]]
        assert len(wanted) == array.ndim
        assert all(w in (-1, a) for w, a in zip(wanted, array.shape, strict=True)), item["name"]
        assert array.size > 0


def test_the_network_links_and_divides(session: object) -> None:
    def score(graph: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        found = session.run(["link", "division"], graph)  # type: ignore[attr-defined]
        return dict(zip(("link", "division"), found, strict=True))

    def shown(t: int) -> np.ndarray:
        others = {2: (20 + t, 30), 5: (100, 100 - t), 6: (30, 100)}
        if t < 4:
            return discs({1: (60, 60, 7.0), **others})
        apart = 5 + t - 3
        return discs({3: (60, 60 - apart, 5.0), 4: (60, 60 + apart, 5.0), **others})

    frames = [shown(t) for t in range(8)]
    linker = Linker(score=score, movie_frames=len(frames))
    pieces = []
    for labels in frames:
        image = image_of(labels).astype(np.float32)
        image[np.isin(labels, (1, 3, 4))] *= 1.8  # chromosomes are dense
        pieces.append(linker.add(detect(labels, image)))
    links = link_set(Links.joined([*pieces, linker.finish()]))
    assert {(3, 1, 4, 3), (3, 1, 4, 4)} <= links
    for label in (2, 5, 6):
        assert {(t, label, t + 1, label) for t in range(7)} <= links
    assert len(links) == 3 * 7 + 3 + 2 + 2 * 3


def test_models_check_has_nothing_against_it() -> None:
    def run(*_: object) -> dict[str, np.ndarray]:
        raise AssertionError("it is not run")

    assert all(check.ok for check in check_model(FOLDER, run))
