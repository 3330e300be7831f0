"""Run an ONNX model once: `python onnx_run.py model.onnx inputs.npz outputs.npz`.

A program of its own, without the rest of the kiosk: ONNX Runtime is installed beside Triton and
not beside the kiosk, and a network that crashes takes only this process with it.
"""

from __future__ import annotations

import sys

import numpy as np


def main(weights: str, inputs: str, outputs: str) -> None:
    """Read the input tensors, run the network on the CPU, write its output tensors."""
    import onnxruntime

    session = onnxruntime.InferenceSession(weights, providers=["CPUExecutionProvider"])
    wanted = {node.name for node in session.get_inputs()}
    with np.load(inputs) as given:
        feed = {name: given[name] for name in given.files}
    if set(feed) != wanted:
        raise SystemExit(
            f"the graph takes {', '.join(sorted(wanted))}; the configuration gives it"
            f" {', '.join(sorted(feed))}"
        )
    names = [node.name for node in session.get_outputs()]
    np.savez(outputs, **dict(zip(names, session.run(names, feed), strict=True)))


if __name__ == "__main__":
    main(*sys.argv[1:])
