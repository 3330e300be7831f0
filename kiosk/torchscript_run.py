"""Run a TorchScript model once: `python torchscript_run.py model.pt inputs.npz outputs.npz`.

A program of its own, as `onnx_run.py` is: the kiosk does not need PyTorch, and a network that
crashes takes only this process with it.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import numpy as np


def main(weights: str, inputs: str, outputs: str) -> None:
    """Read the input tensors, run the network on the CPU, write what it answers.

    As in Triton's PyTorch backend, inputs are the arguments of `forward`, by their names or else in
    the order given, and outputs are known by their place: `__0`, `__1`.
    """
    torch: Any = import_module("torch")
    module = torch.jit.load(weights, map_location="cpu").eval()
    with np.load(inputs) as given:
        feed = {name: torch.from_numpy(given[name]) for name in given.files}
    names = [argument.name for argument in module.forward.schema.arguments[1:]]
    if len(names) != len(feed):
        raise SystemExit(
            f"forward takes {', '.join(names)}; the configuration gives it {', '.join(feed)}"
        )
    with torch.inference_mode():
        answer = module(**feed) if set(names) == set(feed) else module(*feed.values())
    tensors = [answer] if isinstance(answer, torch.Tensor) else answer
    np.savez(outputs, **{f"__{place}": tensor.numpy() for place, tensor in enumerate(tensors)})


if __name__ == "__main__":
    main(*sys.argv[1:])
