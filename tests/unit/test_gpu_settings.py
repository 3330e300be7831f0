"""Settings for a GPU: made from the CPU's, and understood by the laptop's backend as well."""

from __future__ import annotations

import importlib.util
import sys
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format, text_format
from tritonclient.grpc import model_config_pb2

CHECKOUT = Path(__file__).parents[2]
CONFIGS = sorted((CHECKOUT / "model_repository").glob("*/config.pbtxt"))


def load(path: str, name: str) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location(name, CHECKOUT / "deploy" / "triton" / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


gpu_configs = load("gpu_configs.py", "gpu_configs")


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """The backend's module; Triton's own module exists only inside Triton."""
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", types.ModuleType("pb_utils"))
    return load("backends/onnxruntime/model.py", "onnxruntime_backend")


def parsed(path: Path) -> model_config_pb2.ModelConfig:
    return text_format.Parse(path.read_text(), model_config_pb2.ModelConfig())


def plain(config: model_config_pb2.ModelConfig) -> Mapping[str, Any]:
    return json_format.MessageToDict(config, preserving_proto_field_name=True)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.parent.name)
def test_gpu_configurations_are_fresh(path: Path) -> None:
    """`python deploy/triton/gpu_configs.py` writes them."""
    written = path.parent / "configs" / "gpu.pbtxt"
    assert written.read_text() == gpu_configs.text_of(path)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.parent.name)
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


def test_providers_by_place(backend: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    everything = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(backend.ort, "get_available_providers", lambda: everything)
    config = plain(gpu_configs.gpu_config(parsed(CONFIGS[0])))
    on_cpu = {"model_instance_kind": "CPU", "model_instance_device_id": "0"}
    on_gpu = {"model_instance_kind": "GPU", "model_instance_device_id": "1"}
    assert backend.providers(on_cpu, config) == ["CPUExecutionProvider"]
    assert backend.providers(on_gpu, {})[0] == ("CUDAExecutionProvider", {"device_id": 1})
    name, options = backend.providers(on_gpu, config)[0]
    assert name == "TensorrtExecutionProvider"
    assert options["device_id"] == 1
    assert options["trt_fp16_enable"] is True
    assert options["trt_max_workspace_size"] == 2**31
    assert options["trt_engine_cache_enable"] == "1"


def test_without_a_gpu_build_of_the_runtime_it_is_the_cpu(backend: types.ModuleType) -> None:
    config = plain(gpu_configs.gpu_config(parsed(CONFIGS[0])))
    on_gpu = {"model_instance_kind": "GPU", "model_instance_device_id": "0"}
    assert backend.providers(on_gpu, config) == ["CPUExecutionProvider"]
