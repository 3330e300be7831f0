"""A Triton backend, written in Python, that runs ONNX models through ONNX Runtime.

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
import onnxruntime as ort
import triton_python_backend_utils as pb_utils

ONNX_TYPES = {
    "tensor(bool)": "TYPE_BOOL",
    "tensor(uint8)": "TYPE_UINT8",
    "tensor(uint16)": "TYPE_UINT16",
    "tensor(uint32)": "TYPE_UINT32",
    "tensor(uint64)": "TYPE_UINT64",
    "tensor(int8)": "TYPE_INT8",
    "tensor(int16)": "TYPE_INT16",
    "tensor(int32)": "TYPE_INT32",
    "tensor(int64)": "TYPE_INT64",
    "tensor(float16)": "TYPE_FP16",
    "tensor(float)": "TYPE_FP32",
    "tensor(double)": "TYPE_FP64",
}
# The compiled backend's meaning of `optimization { graph { level } }`.
GRAPH_LEVELS = {
    -1: ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    1: ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    2: ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
}
CONSUMED = b"used_dltensor"

Arrays = dict[str, np.ndarray]


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
        self.session = ort.InferenceSession(
            str(path), session_options(config), providers=providers(args, config)
        )
        self.inputs = {item["name"]: item["data_type"] for item in config["input"]}
        self.outputs = [item["name"] for item in config["output"]]
        check_tensors("input", config["input"], self.session.get_inputs())
        check_tensors("output", config["output"], self.session.get_outputs())

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
                return [
                    dict(zip(self.outputs, self.session.run(self.outputs, feeds[0]), strict=True))
                ]
            joined = {name: np.concatenate([feed[name] for feed in feeds]) for name in self.inputs}
            results = self.session.run(self.outputs, joined)
        except Exception as error:  # ONNX Runtime's errors have no common base
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


def providers(args: Mapping[str, str], config: Mapping[str, Any]) -> list[Any]:
    """Execution providers, best first; a GPU's only for an instance that is placed on one."""
    found: list[Any] = ["CPUExecutionProvider"]
    if args["model_instance_kind"] != "GPU":
        return found
    available = ort.get_available_providers()
    device = {"device_id": int(args["model_instance_device_id"])}
    if "CUDAExecutionProvider" in available:
        found.insert(0, ("CUDAExecutionProvider", device))
    wanted = tensorrt_parameters(config)
    if wanted is not None and "TensorrtExecutionProvider" in available:
        found.insert(0, ("TensorrtExecutionProvider", {**device, **wanted}))
    return found


def tensorrt_parameters(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """ONNX Runtime's options for the accelerator "tensorrt" of a configuration; None without."""
    accelerators = config.get("optimization", {}).get("execution_accelerators", {})
    for accelerator in accelerators.get("gpu_execution_accelerator", []):
        if accelerator["name"] == "tensorrt":
            given = dict(accelerator.get("parameters", {}))
            options: dict[str, Any] = {
                name: value for name, value in given.items() if name.startswith("trt_")
            }
            options["trt_fp16_enable"] = given.get("precision_mode") == "FP16"
            if "max_workspace_size_bytes" in given:
                options["trt_max_workspace_size"] = int(given["max_workspace_size_bytes"])
            return options
    return None


def session_options(config: Mapping[str, Any]) -> ort.SessionOptions:
    """ONNX Runtime's options, from the parameters that the compiled backend knows."""
    given = {k: v.get("string_value", "") for k, v in config.get("parameters", {}).items()}
    options = ort.SessionOptions()
    options.intra_op_num_threads = int(given.get("intra_op_thread_count") or 0)
    options.inter_op_num_threads = int(given.get("inter_op_thread_count") or 0)
    if given.get("execution_mode", "0") == "1":
        options.execution_mode = ort.ExecutionMode.ORT_PARALLEL
    # Threads that spin while they wait take the cores from the consumer beside them.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_cpu_mem_arena = given.get("enable_mem_arena", "1") != "0"
    options.enable_mem_pattern = given.get("enable_mem_pattern", "1") != "0"
    level = int(config.get("optimization", {}).get("graph", {}).get("level", 0))
    everything = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.graph_optimization_level = GRAPH_LEVELS.get(level, everything)
    return options


def check_tensors(kind: str, configured: Sequence[Mapping[str, Any]], real: Sequence[Any]) -> None:
    """Raises TritonModelException when config.pbtxt names other tensors than the weights have."""
    types = {node.name: ONNX_TYPES.get(node.type, node.type) for node in real}
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
