"""The two engines that run an ONNX file: ONNX Runtime, and OpenVINO where a CPU has bfloat16.

A configuration asks for OpenVINO by the compiled backend's own name:
`optimization { execution_accelerators { cpu_execution_accelerator { name: "openvino" } } }`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime as ort

Arrays = dict[str, np.ndarray]

TYPES = {
    "bool": "TYPE_BOOL",
    "uint8": "TYPE_UINT8",
    "uint16": "TYPE_UINT16",
    "uint32": "TYPE_UINT32",
    "uint64": "TYPE_UINT64",
    "int8": "TYPE_INT8",
    "int16": "TYPE_INT16",
    "int32": "TYPE_INT32",
    "int64": "TYPE_INT64",
    "float16": "TYPE_FP16",
    "float": "TYPE_FP32",
    "float32": "TYPE_FP32",
    "double": "TYPE_FP64",
    "float64": "TYPE_FP64",
}
# The compiled backend's meaning of `optimization { graph { level } }`.
GRAPH_LEVELS = {
    -1: ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    1: ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    2: ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
}


class Network(Protocol):
    """Loaded weights. `inputs` and `outputs` give each tensor's name and Triton type."""

    inputs: Mapping[str, str]
    outputs: Mapping[str, str]

    def run(self, feed: Arrays, names: list[str]) -> list[np.ndarray]:
        """The outputs of these names."""
        ...


def open_network(path: Path, args: Mapping[str, str], config: Mapping[str, Any]) -> Network:
    """Load a weights file into the engine that fits the instance and its configuration."""
    if args["model_instance_kind"] != "GPU" and accelerator(config, "cpu", "openvino") is not None:
        core = openvino_core()
        if core is not None:
            return OpenVinoNetwork(core, path, config)
    return OnnxRuntimeNetwork(path, args, config)


class OnnxRuntimeNetwork:
    """ONNX Runtime: any CPU, or a GPU with CUDA or TensorRT."""

    def __init__(self, path: Path, args: Mapping[str, str], config: Mapping[str, Any]) -> None:
        self._session = ort.InferenceSession(
            str(path), session_options(config), providers=providers(args, config)
        )
        self.inputs = {node.name: _plain(node.type) for node in self._session.get_inputs()}
        self.outputs = {node.name: _plain(node.type) for node in self._session.get_outputs()}

    def run(self, feed: Arrays, names: list[str]) -> list[np.ndarray]:
        found: list[np.ndarray] = self._session.run(names, feed)
        return found


class OpenVinoNetwork:
    """OpenVINO in bfloat16: about four times as fast on CPUs with AMX."""

    def __init__(self, core: Any, path: Path, config: Mapping[str, Any]) -> None:
        options: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": "bf16",
            "NUM_STREAMS": 1,  # all threads on one request: the lowest waiting time
            # Kernels are kept per shape, some 5 MB for each; without a limit they pile up. This
            # is room for the last 45 shapes or so.
            "CPU_RUNTIME_CACHE_CAPACITY": 100,
            # The consumer works on the same cores; the system shall decide who runs where.
            "ENABLE_CPU_PINNING": False,
        }
        threads = int(text_parameters(config).get("intra_op_thread_count") or 0)
        if threads:
            options["INFERENCE_NUM_THREADS"] = threads
        model = core.read_model(str(path))
        self.inputs = _ports(model.inputs)
        self.outputs = _ports(model.outputs)
        self._whole_numbers = keep_whole_numbers(model)
        self._request = core.compile_model(model, "CPU", options).create_infer_request()

    def run(self, feed: Arrays, names: list[str]) -> list[np.ndarray]:
        whole = {name: feed[name].astype(np.int32) for name in self._whole_numbers}
        found = self._request.infer({**feed, **whole}, share_inputs=True)
        return [found[name] for name in names]


def keep_whole_numbers(model: Any) -> list[str]:
    """Let float32 inputs that a model only casts to int32 be int32 already; their names.

    Else OpenVINO rounds them to bfloat16 before the cast: a grey value of 40,100 becomes 39,936.
    """
    names = []
    for parameter in model.get_parameters():
        users = [target.get_node() for target in parameter.output(0).get_target_inputs()]
        casts = [user.get_type_name() == "Convert" for user in users]
        types = {user.get_output_element_type(0).get_type_name() for user in users}
        if all(casts) and types == {"i32"} and _type_of(parameter.output(0)) == "TYPE_FP32":
            parameter.set_element_type(users[0].get_output_element_type(0))
            names.append(parameter.output(0).any_name)
    model.validate_nodes_and_infer_types()
    return names


def openvino_core() -> Any | None:
    """OpenVINO, where it is installed and the CPU computes in bfloat16; else None.

    In float32 it is no faster than ONNX Runtime.
    """
    try:
        import openvino
    except ImportError:
        return None
    core = openvino.Core()
    return core if "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES") else None


def accelerator(config: Mapping[str, Any], device: str, name: str) -> dict[str, str] | None:
    """Parameters of the execution accelerator of this name in a configuration; None without."""
    groups = config.get("optimization", {}).get("execution_accelerators", {})
    for item in groups.get(f"{device}_execution_accelerator", []):
        if item["name"] == name:
            return dict(item.get("parameters", {}))
    return None


def providers(args: Mapping[str, str], config: Mapping[str, Any]) -> list[Any]:
    """Execution providers, best first; a GPU's only for an instance that is placed on one."""
    found: list[Any] = ["CPUExecutionProvider"]
    if args["model_instance_kind"] != "GPU":
        return found
    available = ort.get_available_providers()
    device = {"device_id": int(args["model_instance_device_id"])}
    if "CUDAExecutionProvider" in available:
        found.insert(0, ("CUDAExecutionProvider", device))
    wanted = tensorrt_options(config)
    if wanted is not None and "TensorrtExecutionProvider" in available:
        found.insert(0, ("TensorrtExecutionProvider", {**device, **wanted}))
    return found


def tensorrt_options(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """ONNX Runtime's options for the accelerator "tensorrt" of a configuration; None without."""
    given = accelerator(config, "gpu", "tensorrt")
    if given is None:
        return None
    options: dict[str, Any] = {k: v for k, v in given.items() if k.startswith("trt_")}
    options["trt_fp16_enable"] = given.get("precision_mode") == "FP16"
    if "max_workspace_size_bytes" in given:
        options["trt_max_workspace_size"] = int(given["max_workspace_size_bytes"])
    return options


def session_options(config: Mapping[str, Any]) -> ort.SessionOptions:
    """ONNX Runtime's options, from the parameters that the compiled backend knows."""
    given = text_parameters(config)
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


def text_parameters(config: Mapping[str, Any]) -> dict[str, str]:
    return {k: v.get("string_value", "") for k, v in config.get("parameters", {}).items()}


def _ports(ports: Any) -> dict[str, str]:
    return {port.any_name: _type_of(port) for port in ports}


def _type_of(port: Any) -> str:
    return _plain(port.element_type.to_dtype())


def _plain(kind: Any) -> str:
    """Triton's name of "tensor(uint16)" or of a numpy type."""
    name = kind.removeprefix("tensor(").removesuffix(")") if isinstance(kind, str) else kind.name
    return TYPES.get(name, str(name))
