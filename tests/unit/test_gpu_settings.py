"""Settings for a GPU: made from the CPU's, and understood by the laptop's backend as well."""

from __future__ import annotations

import importlib.util
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format, text_format
from tritonclient.grpc import model_config_pb2

CHECKOUT = Path(__file__).parents[2]
CONFIGS = sorted((CHECKOUT / "model_repository").glob("*/config.pbtxt"))
# Models that see planes; the others need no other settings on a GPU.
TILED = [path for path in CONFIGS if "kiosk.tile_px" in path.read_text()]


def load(path: str, name: str) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location(name, CHECKOUT / "deploy" / "triton" / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


gpu_configs = load("gpu_configs.py", "gpu_configs")


networks = load("backends/onnxruntime/networks.py", "networks")
ON_CPU = {"model_instance_kind": "CPU", "model_instance_device_id": "0"}
ON_GPU = {"model_instance_kind": "GPU", "model_instance_device_id": "1"}


def parsed(path: Path) -> model_config_pb2.ModelConfig:
    return text_format.Parse(path.read_text(), model_config_pb2.ModelConfig())


def plain(config: model_config_pb2.ModelConfig) -> Mapping[str, Any]:
    return json_format.MessageToDict(config, preserving_proto_field_name=True)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.parent.name)
def test_gpu_configurations_are_fresh(path: Path) -> None:
    """`python deploy/triton/gpu_configs.py` writes them."""
    written = path.parent / "configs" / "gpu.pbtxt"
    assert written.read_text() == gpu_configs.text_of(path)


@pytest.mark.parametrize("path", TILED, ids=lambda path: path.parent.name)
def test_they_differ_in_settings_only(path: Path) -> None:
    cpu, gpu = parsed(path), gpu_configs.gpu_config(parsed(path))
    assert (cpu.input, cpu.output, cpu.name, cpu.backend) == (
        gpu.input,
        gpu.output,
        gpu.name,
        gpu.backend,
    )
    for key in cpu.parameters:
        if key.startswith("kiosk."):
            assert cpu.parameters[key] == gpu.parameters[key]
    largest = max(sample.batch_size for sample in gpu.model_warmup)
    assert largest == gpu.max_batch_size > cpu.max_batch_size


def test_providers_by_place(monkeypatch: pytest.MonkeyPatch) -> None:
    everything = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(networks.ort, "get_available_providers", lambda: everything)
    config = plain(gpu_configs.gpu_config(parsed(TILED[0])))
    assert networks.providers(ON_CPU, config) == ["CPUExecutionProvider"]
    assert networks.providers(ON_GPU, {})[0] == ("CUDAExecutionProvider", {"device_id": 1})
    name, options = networks.providers(ON_GPU, config)[0]
    assert name == "TensorrtExecutionProvider"
    assert options["device_id"] == 1
    assert options["trt_fp16_enable"] is True
    assert options["trt_max_workspace_size"] == 2**31
    assert options["trt_engine_cache_enable"] == "1"


def test_without_a_gpu_build_of_the_runtime_it_is_the_cpu() -> None:
    config = plain(gpu_configs.gpu_config(parsed(TILED[0])))
    assert networks.providers(ON_GPU, config) == ["CPUExecutionProvider"]


@pytest.mark.parametrize("path", TILED, ids=lambda path: path.parent.name)
def test_bfloat16_only_on_a_cpu_that_has_it_and_where_it_is_asked_for(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpu, gpu = plain(parsed(path)), plain(gpu_configs.gpu_config(parsed(path)))
    monkeypatch.setattr(networks, "OpenVinoNetwork", lambda *_: "OpenVINO")
    monkeypatch.setattr(networks, "OnnxRuntimeNetwork", lambda *_: "ONNX Runtime")
    monkeypatch.setattr(networks, "openvino_core", lambda: "a CPU with bfloat16")
    assert networks.open_network(path, ON_CPU, cpu) == "OpenVINO"
    assert networks.open_network(path, ON_GPU, cpu) == "ONNX Runtime"
    assert networks.open_network(path, ON_CPU, gpu) == "ONNX Runtime"
    monkeypatch.setattr(networks, "openvino_core", lambda: None)
    assert networks.open_network(path, ON_CPU, cpu) == "ONNX Runtime"
