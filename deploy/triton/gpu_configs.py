"""Write `configs/gpu.pbtxt` beside every config.pbtxt: the same model, with settings for a GPU.

    python deploy/triton/gpu_configs.py model_repository

Start Triton with `--model-config-name=gpu` to use them. Everything that the kiosk reads is
copied, so the two can never disagree; a test keeps them fresh.
"""

from __future__ import annotations

import sys
from pathlib import Path

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

HEADER = """# Made by deploy/triton/gpu_configs.py from config.pbtxt; change that and run it again.
# For tritonserver --model-config-name=gpu. See docs/how-to.md, "run the models on a GPU".
"""
INSTANCES = 2  # one copies its tiles while the other computes
MAX_BATCH_SIZE = 8  # 8 tiles of 1536 px in fp16 need about 2 GB
BATCH_DELAY_US = 2_000  # short beside a tile, long enough for the consumers' next one
TENSORRT = {
    "precision_mode": "FP16",  # half the memory traffic; maps are 8 bits anyway
    "max_workspace_size_bytes": str(2**31),
    "trt_engine_cache_enable": "1",  # an engine takes minutes to build
    "trt_engine_cache_path": "/tmp/kiosk-tensorrt",
}
WARM_UP_BATCHES = (1, MAX_BATCH_SIZE)


def gpu_config(config: model_config_pb2.ModelConfig) -> model_config_pb2.ModelConfig:
    """A copy of a model configuration with what a GPU wants instead of what a CPU wants."""
    found = model_config_pb2.ModelConfig()
    found.CopyFrom(config)
    if config.parameters["kiosk.pipeline"].string_value == "linking":
        # Small graphs of any shape: there is nothing to batch, and no engine to be built.
        return found
    found.max_batch_size = MAX_BATCH_SIZE
    found.dynamic_batching.max_queue_delay_microseconds = BATCH_DELAY_US
    found.ClearField("instance_group")
    kind = model_config_pb2.ModelInstanceGroup.KIND_AUTO
    found.instance_group.add(count=INSTANCES, kind=kind)
    if "intra_op_thread_count" in found.parameters:
        del found.parameters["intra_op_thread_count"]
    found.optimization.execution_accelerators.ClearField("cpu_execution_accelerator")
    found.optimization.execution_accelerators.gpu_execution_accelerator.add(
        name="tensorrt", parameters=TENSORRT
    )
    tile_px = int(config.parameters["kiosk.tile_px"].string_value)
    for batch in WARM_UP_BATCHES:
        _add_warm_up(found, batch, tile_px)
    return found


def _add_warm_up(config: model_config_pb2.ModelConfig, batch: int, tile_px: int) -> None:
    """A run at the size of a full tile before the model is ready: TensorRT builds its engine."""
    sample = config.model_warmup.add(name=f"tiles-{batch}", batch_size=batch)
    for tensor in config.input:
        spatial = [1, tile_px, tile_px] if tensor.name == "image" else list(tensor.dims)
        sample.inputs[tensor.name].data_type = tensor.data_type
        sample.inputs[tensor.name].dims.extend(spatial)
        sample.inputs[tensor.name].random_data = True


def text_of(config_file: Path) -> str:
    """The whole of `configs/gpu.pbtxt` for a config.pbtxt."""
    config = text_format.Parse(config_file.read_text(), model_config_pb2.ModelConfig())
    return HEADER + text_format.MessageToString(gpu_config(config))


def main(repository: Path) -> None:
    for config_file in sorted(repository.glob("*/config.pbtxt")):
        out = config_file.parent / "configs" / "gpu.pbtxt"
        out.parent.mkdir(exist_ok=True)
        out.write_text(text_of(config_file))
        print(out)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "model_repository"))
