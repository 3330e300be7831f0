"""Write a trained linking network as the ONNX model that Triton serves.

`python -m training.linking.export --state DIR/state.pt --out model_repository/linking/1/model.onnx`
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

from kiosk.imaging.candidates import Frame, find_candidates
from kiosk.imaging.detections import detect
from kiosk.imaging.link_graph import link_graph
from training.export import sha256_of
from training.linking.network import LinkNetwork
from training.linking.train import load_network

OPSET = 18
OUTPUTS = ("link", "division")
# Axes whose length differs from window to window, by the names of the tensors.
AXES = {
    "node_features": {0: "nodes"},
    "patches": {0: "nodes"},
    "edge_features": {0: "edges"},
    "displacement": {0: "edges"},
    "source": {0: "edges"},
    "target": {0: "edges"},
    "incoming": {0: "nodes", 1: "most_in"},
    "outgoing": {0: "nodes", 1: "most_out"},
    "neighbours": {0: "nodes"},
    "pairs": {0: "pairs"},
    "pair_features": {0: "pairs"},
    "link": {0: "edges"},
    "division": {0: "pairs"},
}


class ServedNetwork(nn.Module):
    """Only the last round's answer."""

    def __init__(self, network: LinkNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, *graph: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        links, division = self.network(*graph)
        return links[-1], division


def export(network: LinkNetwork, out: Path) -> None:
    """Write model.onnx with dynamic numbers of nodes, edges and pairs."""
    out.parent.mkdir(parents=True, exist_ok=True)
    graph = example_graph(12, 4, seed=0)
    inputs = [name for name in AXES if name not in OUTPUTS]
    with warnings.catch_warnings():
        # The older exporter is meant: the new one needs a package more.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            ServedNetwork(network).eval(),
            tuple(torch.from_numpy(graph[name]) for name in inputs),
            out,
            input_names=inputs,
            output_names=list(OUTPUTS),
            dynamic_axes=AXES,
            opset_version=OPSET,
            dynamo=False,
        )
    onnx.checker.check_model(onnx.load(out))


def example_graph(cells: int, frames: int, seed: int) -> dict[str, np.ndarray]:
    """The graph of some square cells that wander."""
    random = np.random.default_rng(seed)
    places = random.uniform(5, 115, (cells, 2))
    shown = []
    for number in range(frames):
        labels = np.zeros((128, 128), np.uint32)
        for label, (y, x) in enumerate(places.astype(int), start=1):
            labels[y : y + 8, x : x + 8] = label
        shown.append(Frame.of(number, detect(labels, labels * 10.0), np.zeros(2)))
        places = np.clip(places + random.normal(0, 2, places.shape), 0, 118)
    return link_graph(shown, find_candidates(shown, 2), (0, frames - 1))


def verify(network: LinkNetwork, path: Path) -> float:
    """Largest difference of the log odds between PyTorch and ONNX Runtime."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    worst = 0.0
    for cells, frames in ((1, 2), (30, 5), (12, 9)):
        graph = example_graph(cells, frames, seed=cells)
        with torch.no_grad():
            links, division = network(**{k: torch.from_numpy(v) for k, v in graph.items()})
        found = session.run(list(OUTPUTS), graph)
        for expected, given in zip((links[-1], division), found, strict=True):
            worst = max(worst, float(np.abs(expected.numpy() - given).max()))
    return worst


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    network = load_network(arguments.state)
    export(network, arguments.out)
    print(f"largest difference to PyTorch: {verify(network, arguments.out):.2g}")
    print(f"sha256 {sha256_of(arguments.out)}")


if __name__ == "__main__":
    main()
