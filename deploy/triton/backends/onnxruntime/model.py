"""A Triton backend, written in Python, that runs ONNX models on ONNX Runtime or OpenVINO.

It answers to the name of NVIDIA's compiled backend (`backend: "onnxruntime"`) and reads the
same parameters, so one model repository serves a laptop, where this file is the backend, and
a GPU node, where NVIDIA's container brings the compiled one. Triton calls TritonPythonModel.

It needs no `auto_complete_config`: the models of this project say everything in config.pbtxt,
and Triton does not tell that call where the weights are.
"""

from __future__ import annotations

import ctypes
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from networks import Arrays, open_network

CONSUMED = b"used_dltensor"


class TritonPythonModel:
    """One instance of one version of a model."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Load the weights and refuse them when the configuration does not fit them."""
        config = json.loads(args["model_config"])
        file = config.get("default_model_filename") or "model.onnx"
        path = Path(args["model_repository"]) / args["model_version"] / file
        if not path.is_file():
            raise pb_utils.TritonModelException(f"There is no weights file {path}.")
        self.batched = int(config.get("max_batch_size", 0)) > 0
        self.network = open_network(path, args, config)
        self.inputs = {item["name"]: item["data_type"] for item in config["input"]}
        self.outputs = [item["name"] for item in config["output"]]
        check_tensors("input", config["input"], self.network.inputs)
        check_tensors("output", config["output"], self.network.outputs)

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Answer requests, as few runs as their shapes allow; one bad request harms no other."""
        responses: list[Any] = [None] * len(requests)
        groups: dict[Any, list[int]] = defaultdict(list)
        feeds: dict[int, Arrays] = {}
        for index, request in enumerate(requests):
            try:
                feeds[index] = self.read(request)
            except Exception as error:  # whatever it is, it is this request's alone
                responses[index] = failed(str(error))
            else:
                groups[self.group(index, feeds[index])].append(index)
        for members in groups.values():
            for index, result in zip(members, self.run([feeds[i] for i in members]), strict=True):
                responses[index] = self.answer(requests[index], result)
        return responses

    def read(self, request: Any) -> Arrays:
        """The inputs of a request, without copying. Raises ValueError in plain words."""
        arrays: Arrays = {}
        for tensor in request.inputs():
            name = tensor.name()
            if name not in self.inputs:
                raise ValueError(
                    f"The model has no input '{name}'; it has {', '.join(self.inputs)}."
                )
            # By DLPack: Triton's stub was built for NumPy 1 and reads other memory with NumPy 2.
            arrays[name] = np.from_dlpack(tensor)
            expected = pb_utils.triton_string_to_numpy(self.inputs[name])
            if arrays[name].dtype != expected:
                raise ValueError(
                    f"Input '{name}' is {arrays[name].dtype}; the model takes {np.dtype(expected)}."
                )
        missing = [name for name in self.inputs if name not in arrays]
        if missing:
            raise ValueError(f"The request lacks input '{missing[0]}'.")
        if self.batched and len({len(array) for array in arrays.values()}) > 1:
            raise ValueError("The inputs of a request must have the same batch size.")
        return arrays

    def group(self, index: int, feed: Arrays) -> Any:
        """Requests with the same key can share a run: all but the batch axis is equal."""
        if not self.batched:
            return index
        return tuple((name, array.shape[1:]) for name, array in sorted(feed.items()))

    def run(self, feeds: list[Arrays]) -> list[Arrays | Exception]:
        """Results per feed; when a common run fails, each runs alone to find the culprit."""
        try:
            if len(feeds) == 1:
                results = self.network.run(feeds[0], self.outputs)
                return [dict(zip(self.outputs, results, strict=True))]
            joined = {name: np.concatenate([feed[name] for feed in feeds]) for name in self.inputs}
            results = self.network.run(joined, self.outputs)
        except Exception as error:  # the engines' errors have no common base
            if len(feeds) == 1:
                return [error]
            return [result for feed in feeds for result in self.run([feed])]
        sizes = [len(next(iter(feed.values()))) for feed in feeds]
        ends = np.cumsum(sizes)
        return [
            {n: r[end - size : end] for n, r in zip(self.outputs, results, strict=True)}
            for size, end in zip(sizes, ends, strict=True)
        ]

    def answer(self, request: Any, result: Arrays | Exception) -> Any:
        if isinstance(result, Exception):
            return failed(f"The model could not be run on this input: {result}")
        wanted = list(request.requested_output_names()) or self.outputs
        try:
            tensors = [to_tensor(name, result[name]) for name in self.outputs if name in wanted]
        except Exception as error:
            return failed(f"The result could not be handed over: {error}")
        return pb_utils.InferenceResponse(output_tensors=tensors)


def failed(message: str) -> Any:
    return pb_utils.InferenceResponse(output_tensors=[], error=pb_utils.TritonError(message))


def to_tensor(name: str, array: np.ndarray) -> Any:
    """Hand an array to Triton by DLPack, which works with NumPy 1 and 2 alike.

    The stub marks a consumed capsule with a name that NumPy does not know; given NumPy's own
    name for it, the capsule is freed without a complaint in the log.
    """
    capsule = np.ascontiguousarray(array).__dlpack__()
    tensor = pb_utils.Tensor.from_dlpack(name, capsule)
    ctypes.pythonapi.PyCapsule_SetName(ctypes.py_object(capsule), CONSUMED)
    return tensor


def check_tensors(
    kind: str, configured: Sequence[Mapping[str, Any]], types: Mapping[str, str]
) -> None:
    """Raises TritonModelException when config.pbtxt names other tensors than the weights have."""
    for item in configured:
        name, given = item["name"], item["data_type"]
        if name not in types:
            raise pb_utils.TritonModelException(
                f"config.pbtxt names the {kind} '{name}'; the weights have {', '.join(types)}."
            )
        if types[name] != given:
            raise pb_utils.TritonModelException(
                f"config.pbtxt says that {kind} '{name}' is {given}; in the weights it is"
                f" {types[name]}."
            )
