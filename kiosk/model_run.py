"""Running a weights file once, outside of Triton: for checks."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from kiosk import onnx_run, torchscript_run
from kiosk.errors import PermanentError
from kiosk.machine import server_files

Runner = Callable[[Path, Mapping[str, np.ndarray]], dict[str, np.ndarray]]
"""(weights file, input tensors) -> output tensors. Raises PermanentError with a sentence."""

LONGEST_S = 600.0


def network_runner(servers_dir: Path) -> Runner:
    """Runs ONNX models with this Python when it has ONNX Runtime, else with that of Triton.

    TorchScript (`.pt`) is run with this Python; its outputs are called `__0`, `__1` and so on.

    Raises:
        PermanentError: neither has ONNX Runtime; the sentence says what to do.
    """
    if importlib.util.find_spec("onnxruntime"):
        python = Path(sys.executable)
    else:
        python = server_files(servers_dir).python

    def run(weights: Path, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        with tempfile.TemporaryDirectory(prefix="kiosk-check-") as folder:
            given, answered = Path(folder) / "inputs.npz", Path(folder) / "outputs.npz"
            np.savez(given, allow_pickle=False, **inputs)
            files = [str(weights), str(given), str(answered)]
            if weights.suffix == ".pt":
                _call("PyTorch", [sys.executable, torchscript_run.__file__, *files])
            else:
                _call("ONNX Runtime", [str(python), onnx_run.__file__, *files])
            with np.load(answered, allow_pickle=False) as outputs:
                return {name: outputs[name] for name in outputs.files}

    return run


def has_torch() -> bool:
    """Whether TorchScript can be run here."""
    return importlib.util.find_spec("torch") is not None


def _call(engine: str, command: list[str]) -> None:
    try:
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=LONGEST_S
        )
    except subprocess.TimeoutExpired as error:
        raise PermanentError(
            f"The network has not answered within {LONGEST_S:g} s; it is too slow for this machine."
        ) from error
    if done.returncode:
        lines = [line for line in done.stderr.strip().splitlines() if line.strip()]
        last = lines[-1].strip()[:400] if lines else f"it ended with code {done.returncode}"
        raise PermanentError(f"{engine} cannot run the network: {last}.")
