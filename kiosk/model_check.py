"""`kiosk models check`: will this model folder work in the repository? A sentence per question."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from kiosk.checks import Check
from kiosk.errors import KioskError, PermanentError
from kiosk.heads import HEADS, MapSpec
from kiosk.imaging.intensity import as_uint16, plane_limits
from kiosk.imaging.postprocessing import label_maps
from kiosk.imaging.sample import make_sample
from kiosk.model_run import Runner, has_torch
from kiosk.models import KEY_GROUPS, KEYS, LINKING, SEGMENTATION, ModelCard, card_from_config
from kiosk.parameters import chosen, parameters_of
from kiosk.pipelines.tensors import head_maps, model_inputs, without_channel_axis

REFERENCE = "docs/reference/model-configuration.md"
IMAGE_PX = 256
NUCLEUS_PX = 1500
"""Area of the plane per nucleus of the made-up image."""

MAP_TYPES = {"TYPE_UINT8": "uint8", "TYPE_FP16": "float16", "TYPE_FP32": "float32"}
BACKENDS = {"onnxruntime": "model.onnx", "pytorch": "model.pt"}


def check_model(folder: Path, run: Runner) -> list[Check]:
    """Ask every question about a model folder; the later ones only when they make sense.

    Args:
        folder: the model's own folder, with `config.pbtxt` and numbered version folders.
        run: runs a weights file once.
    """
    try:
        config = read_config(folder / "config.pbtxt")
    except PermanentError as error:
        return [Check("configuration", False, error.message)]
    versions = sorted((p.name for p in folder.iterdir() if p.name.isdigit()), key=int)
    checks = [_name(folder, config), _weights(folder, config, versions), _keys(config)]
    try:
        card = card_from_config(config, versions or ["1"])
    except PermanentError as error:
        return [*checks, Check("card", False, error.message)]
    if card.pipeline == LINKING:
        # It sees no images, so there is nothing to try it on.
        return [*checks, Check("card", True, "It links instances through time.")]
    checks += [_card(card), _parameters(card), _inputs(config, card), _outputs(config, card)]
    if all(check.ok for check in checks):
        for version in versions:
            checks += _version(folder, config, card, version, run)
    return checks


def parse_config(path: Path) -> Any:
    """A config.pbtxt as a Triton ModelConfig message. Raises PermanentError with a sentence."""
    from google.protobuf import text_format
    from tritonclient.grpc import model_config_pb2

    try:
        return text_format.Parse(path.read_text(), model_config_pb2.ModelConfig())
    except OSError as error:
        raise PermanentError(
            f"{path} cannot be read: {error.strerror}. A model is a folder with a config.pbtxt;"
            f" see {REFERENCE}."
        ) from error
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise PermanentError(f"{path} is not a Triton model configuration: {error}.") from error


def read_config(path: Path) -> dict[str, Any]:
    """A config.pbtxt as Triton would report it. Raises PermanentError with a sentence."""
    from google.protobuf import json_format

    message = parse_config(path)
    return dict(json_format.MessageToDict(message, preserving_proto_field_name=True))


def backend_of(config: Mapping[str, Any]) -> str:
    platform = {"onnxruntime_onnx": "onnxruntime", "pytorch_libtorch": "pytorch"}
    return str(config.get("backend") or platform.get(config.get("platform", ""), ""))


def _name(folder: Path, config: dict[str, Any]) -> Check:
    real = folder.resolve().name
    given = config.setdefault("name", real)
    if given != real:
        return Check(
            "name",
            False,
            f"config.pbtxt says '{given}', the folder is '{real}'; both must be the same.",
        )
    return Check("name", True, f"The model is called '{real}'.")


def _weights(folder: Path, config: Mapping[str, Any], versions: list[str]) -> Check:
    backend = backend_of(config)
    if backend not in BACKENDS:
        return Check(
            "weights", False, f"The backend '{backend}' is not one of {', '.join(BACKENDS)}."
        )
    name = _file_name(config)
    if not versions:
        return Check("weights", False, f"There is no version; put the weights into 1/{name}.")
    for version in versions:
        path = folder / version / name
        if not path.is_file():
            return Check("weights", False, f"{path} is missing.")
        data = path.read_bytes()
        if data.startswith(b"version https://git-lfs"):
            return Check("weights", False, f"{path} is a Git LFS pointer; run `git lfs pull`.")
        expected = _value(config, f"kiosk.weights_sha256.{version}")
        found = hashlib.sha256(data).hexdigest()
        if expected and expected != found:
            return Check(
                "weights", False, f"{path} has the SHA-256 {found}; config.pbtxt names {expected}."
            )
    return Check("weights", True, f"Versions: {', '.join(versions)}.")


def _file_name(config: Mapping[str, Any]) -> str:
    return str(config.get("default_model_filename") or BACKENDS[backend_of(config)])


def _keys(config: Mapping[str, Any]) -> Check:
    for key in config.get("parameters", {}):
        if not key.startswith("kiosk.") or key in KEYS or key.startswith(KEY_GROUPS):
            continue
        near = get_close_matches(key, KEYS, n=1)
        hint = f" Is '{near[0]}' meant?" if near else f" See {REFERENCE}."
        return Check("keys", False, f"There is no key '{key}'.{hint}")
    return Check("keys", True, "All kiosk.* keys are known.")


def _card(card: ModelCard) -> Check:
    if card.pipeline != SEGMENTATION:
        why = f"only models for {SEGMENTATION} are checked, and this one is for '{card.pipeline}'."
        return Check("card", False, f"kiosk.pipeline: {why}")
    return Check(
        "card",
        True,
        f"Head '{card.head}'; tiles of up to {card.tile_px} px, halo {card.halo_px} px, divisor"
        f" {card.divisor_px} px.",
    )


def _parameters(card: ModelCard) -> Check:
    table = {item.name: item for item in parameters_of(HEADS[card.head].parameters)}
    for name, value in card.postprocessing.items():
        if name not in table:
            return Check(
                "parameters",
                False,
                f"The head '{card.head}' has no parameter '{name}'; it has {', '.join(table)}.",
            )
        if fault := table[name].fault(value):
            return Check("parameters", False, fault)
    return Check("parameters", True, f"{len(card.postprocessing)} of {len(table)} are set.")


def _inputs(config: Mapping[str, Any], card: ModelCard) -> Check:
    inputs = {item["name"]: item for item in config.get("input", [])}
    unknown = sorted(set(inputs) - {"image", "limits"})
    image = inputs.get("image", {})
    channels = [-1, 1, 3] if card.accepts_rgb else [-1, 1]
    dims = _dims(image)
    fault = ""
    if int(config.get("max_batch_size", 0)) < 1:
        fault = "max_batch_size must be at least 1, as tensors come with a batch axis."
    elif not image or unknown:
        fault = f"The inputs must be 'image' and, if wanted, 'limits', not {', '.join(inputs)}."
    elif not card.takes_limits and image["data_type"] != "TYPE_FP32":
        fault = "Without the input 'limits' the input 'image' comes scaled and must be TYPE_FP32."
    elif backend_of(config) == "pytorch" and image["data_type"] != "TYPE_FP32":
        fault = "Triton's PyTorch backend knows no UINT16; the input 'image' must be TYPE_FP32."
    elif len(dims) != 3 or dims[0] not in channels or dims[1:] != [-1, -1]:
        fault = (
            f"The dims of 'image' are {dims}; they must be [channels, -1, -1] with one channel"
            " (1), or -1 where colour is accepted too."
        )
    elif card.takes_limits and _dims(inputs["limits"]) != [2]:
        fault = f"The dims of 'limits' are {_dims(inputs['limits'])}; they must be [2]."
    scaled = "scales them itself" if card.takes_limits else "gets them scaled to 0..1"
    return Check("inputs", not fault, fault or f"Grey values as {card.image_dtype}; it {scaled}.")


def _outputs(config: Mapping[str, Any], card: ModelCard) -> Check:
    outputs = {item["name"].partition("__")[0]: item for item in config.get("output", [])}
    for spec in HEADS[card.head].maps:
        if spec.name not in outputs:
            needs = ", ".join(item.name for item in HEADS[card.head].maps)
            return Check(
                "outputs",
                False,
                f"The output '{spec.name}' is missing; the head '{card.head}' needs {needs}.",
            )
        item = outputs[spec.name]
        if fault := _output_fault(spec, str(item["data_type"]), _dims(item)):
            return Check("outputs", False, fault)
        if backend_of(config) == "pytorch" and "__" not in item["name"]:
            return Check(
                "outputs", False, f"For Triton's PyTorch backend call it '{spec.name}__0' (or __1)."
            )
    return Check("outputs", True, f"It gives {', '.join(outputs)}.")


def _output_fault(spec: MapSpec, data_type: str, dims: list[int]) -> str:
    if data_type not in MAP_TYPES:
        return f"The output '{spec.name}' is {data_type}; it must be one of {', '.join(MAP_TYPES)}."
    if len(dims) != len(spec.axes) or dims[-2:] != [-1, -1]:
        wanted = "[-1, -1]" if spec.axes == "yx" else "[channels, -1, -1]"
        return f"The dims of '{spec.name}' are {dims}; they must be {wanted}."
    fewest, most = spec.channels
    if spec.axes == "cyx" and dims[0] != -1 and not fewest <= dims[0] <= most:
        return f"The output '{spec.name}' has {dims[0]} channels; {fewest} to {most} make sense."
    return ""


def _version(
    folder: Path, config: Mapping[str, Any], card: ModelCard, version: str, run: Runner
) -> list[Check]:
    """Run one version on a made-up image, and its maps through the post-processing."""
    name = f"network {version}"
    if backend_of(config) == "pytorch" and not has_torch():
        why = "Not run: PyTorch is not installed beside the kiosk (`pip install torch`)."
        return [Check(name, True, why)]
    weights = folder / version / _file_name(config)
    checks = []
    for channels in (1, 3) if card.accepts_rgb else (1,):
        try:
            checks += _run_once(name, weights, config, card, channels, run)
        except KioskError as error:
            checks.append(Check(name, False, error.message))
    return checks


def _run_once(
    name: str, weights: Path, config: Mapping[str, Any], card: ModelCard, channels: int, run: Runner
) -> list[Check]:
    width_px = min(card.tile_px, -(-IMAGE_PX // card.divisor_px) * card.divisor_px)
    height_px = max(card.divisor_px, width_px - card.divisor_px)
    nuclei = max(1, height_px * width_px // NUCLEUS_PX)
    sample = make_sample(1, height_px, width_px, nuclei)
    plane = np.repeat(sample.images, channels, axis=0)
    limits = plane_limits(plane, card.low_percentile, card.high_percentile)
    pixels, limits = as_uint16(plane, limits)
    began = time.perf_counter()
    outputs = _named(config, run(weights, model_inputs(card, pixels, limits)))
    maps = head_maps(card, outputs)
    seconds = time.perf_counter() - began
    shape = f"{channels} x {height_px} x {width_px}"
    for fault in _map_faults(config, card, maps, (height_px, width_px)):
        return [Check(name, False, f"On an image of {shape} px {fault}")]
    answer = Check(name, True, f"It answers an image of {shape} px in {seconds:.1f} s.")
    parameters: Any = chosen(HEADS[card.head].parameters, card.postprocessing, {})
    planes = without_channel_axis(HEADS[card.head], maps)
    began = time.perf_counter()
    found = int(label_maps(card.head, planes, parameters).max())
    milliseconds = (time.perf_counter() - began) * 1e3
    text = f"{found} in the made-up image of {int(sample.labels.max())} bright nuclei,"
    text += f" in {milliseconds:.0f} ms."
    if not found:
        text += " None is right only if the model is not for such images."
    return [answer, Check(name.replace("network", "instances"), True, text)]


def _named(config: Mapping[str, Any], outputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Outputs that are known by their place, as TorchScript's are, get their names back."""
    by_place = {"__" + item["name"].partition("__")[2]: item["name"] for item in config["output"]}
    return {by_place.get(name, name): tensor for name, tensor in outputs.items()}


def _map_faults(
    config: Mapping[str, Any],
    card: ModelCard,
    maps: Mapping[str, np.ndarray],
    shape: tuple[int, int],
) -> list[str]:
    types = {item["name"].partition("__")[0]: item["data_type"] for item in config["output"]}
    faults = []
    for name, values in maps.items():
        if values.shape[1:] != shape:
            faults.append(f"the map '{name}' is {values.shape[1:]} px; it must be as large.")
        if MAP_TYPES[types[name]] != values.dtype.name:
            faults.append(f"the map '{name}' is {values.dtype}; config.pbtxt says {types[name]}.")
        if not np.isfinite(values).all():
            faults.append(f"the map '{name}' has values that are not finite.")
        elif _looks_like_logits(card, name, values):
            faults.append(
                f"the map '{name}' goes from {values.min():g} to {values.max():g}, not from 0 to"
                " 1; end the graph with a sigmoid."
            )
    return faults


def _looks_like_logits(card: ModelCard, name: str, values: np.ndarray) -> bool:
    # Cellpose's networks give logits, and a threshold of 0 is theirs; classes have a switch.
    if card.head in ("flows", "classes") or name == "rays" or values.dtype == np.uint8:
        return False
    return bool(values.min() < -0.01 or values.max() > 1.01)


def _dims(item: Mapping[str, Any]) -> list[int]:
    return [int(size) for size in item.get("dims", [])]


def _value(config: Mapping[str, Any], key: str) -> str:
    return str(config.get("parameters", {}).get(key, {}).get("string_value", ""))
