"""config.pbtxt of made-up models, one per head, for tests of what reads them."""

from __future__ import annotations

from collections.abc import Mapping

from kiosk.heads import HEADS

_TYPES = {"uint8": "TYPE_UINT8", "float16": "TYPE_FP16", "float32": "TYPE_FP32"}

_KEYS = {
    "kiosk.pipeline": "segmentation",
    "kiosk.channels": "image",
    "kiosk.tile_px": "128",
    "kiosk.halo_px": "16",
    "kiosk.divisor_px": "16",
    "kiosk.low_percentile": "0.0",
    "kiosk.high_percentile": "100.0",
}


def make_config(
    name: str, head: str, dtype: str = "uint8", changes: Mapping[str, str | None] | None = None
) -> str:
    """The text of a config.pbtxt for a model with float32 input that the kiosk has scaled.

    Args:
        name: of the model.
        head: a key of `HEADS`.
        dtype: of all maps.
        changes: `kiosk.*` keys to set, or to leave out (None).
    """
    keys: dict[str, str | None] = {**_KEYS, "kiosk.head": head, **(changes or {})}
    outputs = []
    for spec in HEADS[head].maps:
        dims = ("-1", "-1") if spec.axes == "yx" else (str(max(spec.channels[0], 3)), "-1", "-1")
        if spec.name == "flows":
            dims = ("2", "-1", "-1")
        outputs.append(
            f'{{ name: "{spec.name}" data_type: {_TYPES[dtype]} dims: [ {", ".join(dims)} ] }}'
        )
    parameters = "\n".join(
        f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}'
        for key, value in keys.items()
        if value is not None
    )
    return f"""name: "{name}"
backend: "onnxruntime"
max_batch_size: 1
input [ {{ name: "image" data_type: TYPE_FP32 dims: [ 1, -1, -1 ] }} ]
output [ {", ".join(outputs)} ]
{parameters}
"""
