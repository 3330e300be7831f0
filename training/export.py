"""Write a trained network as the ONNX model that Triton serves.

`python -m training.export --state DIR/state.pt --out model_repository/nuclei/2/model.onnx`

The graph takes raw pixels: it normalises them with the limits that the consumer sends, so that
all tiles of a plane agree, and gives both maps as bytes, which is a quarter of what floats
would move. Weights are kept as float16, half the size; the runtime turns them back when it loads
the file.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from training.network import DIVISOR_PX, MapNetwork

# What the network saw in training: brighter pixels are cut off.
BRIGHTEST = 1.5
OPSET = 18
OUTPUTS = ("foreground", "distance")


class ServedNetwork(nn.Module):
    """Pixels and limits in, foreground and distance as bytes out.

    image (n, c, y, x) int32 grey values, c = 1 (grey) or 3 (red, green, blue);
    limits (n, 2) float32, whole numbers; both outputs (n, y, x) uint8.

    The lower limit is taken off in whole numbers: an engine that computes in bfloat16 would round
    a grey value of 40,000 to a multiple of 256.
    """

    def __init__(self, network: MapNetwork) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("three", torch.ones(1, 3, 1, 1))

    def forward(self, image: torch.Tensor, limits: torch.Tensor) -> tuple[torch.Tensor, ...]:
        whole = limits.to(torch.int32)
        low, high = whole[:, 0, None, None, None], whole[:, 1, None, None, None]
        scaled = ((image - low).float() / (high - low).float()).clamp(0.0, BRIGHTEST)
        # A grey plane is spread over the three colours here, not on the wire.
        maps = torch.sigmoid(self.network(scaled * self.three))
        maps = (maps * 255).round().to(torch.uint8)
        return maps[:, 0], maps[:, 1]


def load_network(state: Path) -> MapNetwork:
    """The averaged network of a training run, in evaluation mode."""
    saved = torch.load(state, map_location="cpu", weights_only=True)["average"]
    weights = {k.removeprefix("module."): v for k, v in saved.items() if k.startswith("module.")}
    levels = sum(name.startswith("down.") and name.endswith(".0.weight") for name in weights)
    channels = tuple(weights[f"down.{level}.0.weight"].shape[0] for level in range(levels))
    network = MapNetwork(channels, folded="down.0.0.bias" in weights)
    network.load_state_dict(weights)
    return network.eval()


def export(network: MapNetwork, out: Path) -> None:
    """Write model.onnx with dynamic batch, height and width."""
    out.parent.mkdir(parents=True, exist_ok=True)
    side = 4 * DIVISOR_PX
    image = torch.randint(0, 255, (2, 1, side, side + DIVISOR_PX), dtype=torch.int32)
    example = (image, torch.tensor([[0.0, 255.0]] * 2))
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # The older exporter is meant: the new one needs a package more and fixes the batch size.
        warnings.simplefilter("ignore", DeprecationWarning)
        plain = Path(folder) / "plain.onnx"
        torch.onnx.export(
            ServedNetwork(network).eval(),
            example,
            plain,
            input_names=["image", "limits"],
            output_names=list(OUTPUTS),
            dynamic_axes={
                "image": {0: "n", 1: "c", 2: "y", 3: "x"},
                "limits": {0: "n"},
                **{name: {0: "n", 1: "y", 2: "x"} for name in OUTPUTS},
            },
            opset_version=OPSET,
            dynamo=False,
        )
        model = onnx.load(plain)
    _take_uint16(model)
    _keep_weights_as_half(model)
    onnx.checker.check_model(model)
    onnx.save(model, out)


def _take_uint16(model: onnx.ModelProto) -> None:
    """Let the input `image` be uint16; PyTorch cannot export that itself."""
    graph = model.graph
    for node in graph.node:
        node.input[:] = ["image_int32" if name == "image" else name for name in node.input]
    image = next(item for item in graph.input if item.name == "image")
    image.type.tensor_type.elem_type = TensorProto.UINT16
    cast = helper.make_node("Cast", ["image"], ["image_int32"], to=TensorProto.INT32)
    graph.node.insert(0, cast)


def _keep_weights_as_half(model: onnx.ModelProto) -> None:
    """Store the weights of convolutions as float16, each with a cast that loading folds away."""
    graph = model.graph
    names = {node.input[1] for node in graph.node if node.op_type == "Conv"}
    for item in graph.initializer:
        if item.name in names:
            half = numpy_helper.to_array(item).astype(np.float16)
            full_name = item.name
            item.CopyFrom(numpy_helper.from_array(half, f"{full_name}_half"))
            cast = helper.make_node("Cast", [item.name], [full_name], to=TensorProto.FLOAT)
            graph.node.insert(0, cast)


def verify(network: MapNetwork, path: Path) -> float:
    """Largest difference (0..255) between PyTorch and ONNX Runtime on random pixels."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    random = np.random.default_rng(0)
    worst = 0
    for channels, height, width in ((1, 64, 96), (3, 160, 128)):
        image = random.integers(0, 60_000, (2, channels, height, width), dtype=np.uint16)
        limits = np.array([[100, 50_000], [0, 60_000]], np.float32)
        with torch.no_grad():
            expected = ServedNetwork(network).eval()(
                torch.from_numpy(image.astype(np.int32)), torch.from_numpy(limits)
            )
        found = session.run(None, {"image": image, "limits": limits})
        for a, b in zip(expected, found, strict=True):
            worst = max(worst, int(np.abs(a.numpy().astype(int) - b.astype(int)).max()))
    return worst


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    network = load_network(arguments.state)
    export(network, arguments.out)
    print(f"largest difference to PyTorch: {verify(network, arguments.out)} of 255")
    print(f"sha256 {sha256_of(arguments.out)}")


if __name__ == "__main__":
    main()
