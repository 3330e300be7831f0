"""Model cards out of Triton's model configuration."""

from __future__ import annotations

from typing import Any

import pytest

from kiosk.errors import PermanentError
from kiosk.models import KEY_GROUPS, KEYS, ModelCard, card_from_config

FULL = {
    "kiosk.pipeline": "segmentation",
    "kiosk.display_name": "Nuclei",
    "kiosk.description": "Cell nuclei.",
    "kiosk.licence": "Apache-2.0",
    "kiosk.channels": "nuclei",
    "kiosk.accepts_rgb": "true",
    "kiosk.object_diameter_px": "8,60.5",
    "kiosk.network_diameter_px": "28",
    "kiosk.tile_px": "1536",
    "kiosk.halo_px": "64",
    "kiosk.divisor_px": "32",
    "kiosk.low_percentile": "1.0",
    "kiosk.high_percentile": "99.8",
    "kiosk.postprocessing.smoothing_px": "1.0",
    "kiosk.postprocessing.min_area_px": "12",
    "kiosk.weights_sha256.1": "aa",
    "kiosk.weights_sha256.2": "bb",
    "some.other.key": "ignored",
}
OPTIONAL = (
    "display_name",
    "description",
    "licence",
    "accepts_rgb",
    "object_diameter_px",
    "network_diameter_px",
)


def config(**changes: str | None) -> dict[str, Any]:
    """FULL with some `kiosk.*` values changed, or left out (None)."""
    values: dict[str, str | None] = {**FULL, **{f"kiosk.{k}": v for k, v in changes.items()}}
    return {
        "name": "nuclei",
        "parameters": {k: {"string_value": v} for k, v in values.items() if v is not None},
    }


@pytest.mark.parametrize(
    ("outputs", "map_bytes"),
    [
        ([], 2),
        ([("TYPE_UINT8", [-1, -1]), ("TYPE_UINT8", [-1, -1])], 2),
        ([("TYPE_FP16", [-1, -1]), ("TYPE_FP16", ["32", "-1", "-1"])], 66),
        ([("TYPE_FP32", [-1, -1, -1])], 4),
    ],
)
def test_bytes_of_all_maps(outputs: list[tuple[str, list[Any]]], map_bytes: int) -> None:
    said = [{"data_type": kind, "dims": dims} for kind, dims in outputs]
    assert map_bytes == card_from_config(config() | {"output": said}, ["1"]).map_bytes


def test_everything_is_read() -> None:
    expected = ModelCard(
        name="nuclei",
        versions=("1", "2", "10"),
        pipeline="segmentation",
        display_name="Nuclei",
        description="Cell nuclei.",
        licence="Apache-2.0",
        channels=("nuclei",),
        accepts_rgb=True,
        tile_px=1536,
        divisor_px=32,
        halo_px=64,
        low_percentile=1.0,
        high_percentile=99.8,
        object_diameter_px=(8.0, 60.5),
        network_diameter_px=28.0,
        postprocessing={"smoothing_px": 1.0, "min_area_px": 12.0},
        weights_sha256={"1": "aa", "2": "bb"},
    )
    assert expected == card_from_config(config(), ["10", "2", "1"])


def test_latest_version_is_the_highest_number() -> None:
    assert card_from_config(config(), ["9", "10", "8"]).default_version == "10"


def test_what_may_be_left_out() -> None:
    card = card_from_config(config(**dict.fromkeys(OPTIONAL)), ["1"])
    assert (
        card.display_name,
        card.description,
        card.licence,
        card.accepts_rgb,
        card.object_diameter_px,
        card.network_diameter_px,
    ) == ("nuclei", "", "", False, (0.0, 0.0), 0.0)


def test_channels_are_a_list_of_names() -> None:
    assert card_from_config(config(channels="nuclei, membrane"), ["1"]).channels == (
        "nuclei",
        "membrane",
    )


@pytest.mark.parametrize(
    "missing",
    ["pipeline", "channels", "tile_px", "halo_px", "divisor_px", "low_percentile"],
)
def test_what_must_not_be_left_out(missing: str) -> None:
    with pytest.raises(PermanentError, match=rf"'nuclei' is not complete.*kiosk\.{missing}"):
        card_from_config(config(**{missing: None}), ["1"])


@pytest.mark.parametrize(
    "wrong",
    [
        {"head": "depth"},
        {"tile_px": "big"},
        {"tile_px": "1000"},
        {"tile_px": "256"},
        {"tile_px": "0"},
        {"divisor_px": "0"},
        {"halo_px": "-1"},
        {"low_percentile": "99.9"},
        {"high_percentile": "101"},
        {"low_percentile": "nan"},
        {"object_diameter_px": "8"},
        {"object_diameter_px": "8,9,10"},
        {"network_diameter_px": "-1"},
        {"network_diameter_px": "large"},
        {"postprocessing.min_area_px": "twelve"},
    ],
    ids=str,
)
def test_values_that_cannot_be(wrong: dict[str, str]) -> None:
    """A wrong tile would otherwise fail every job, three attempts each."""
    with pytest.raises(PermanentError, match="'nuclei' is not complete"):
        card_from_config(config(**wrong), ["1"])


@pytest.mark.parametrize("versions", [[], ["one"]])
def test_versions_that_cannot_be(versions: list[str]) -> None:
    with pytest.raises(PermanentError):
        card_from_config(config(), versions)


@pytest.mark.parametrize(
    ("inputs", "dtype", "takes_limits"),
    [
        ({"image": "TYPE_UINT16", "limits": "TYPE_FP32"}, "uint16", True),
        ({"image": "TYPE_FP32", "limits": "TYPE_FP32"}, "float32", True),
        ({"image": "TYPE_FP32"}, "float32", False),
    ],
)
def test_inputs_say_who_scales(inputs: dict[str, str], dtype: str, takes_limits: bool) -> None:
    tensors = [{"name": name, "data_type": kind} for name, kind in inputs.items()]
    card = card_from_config({**config(head="stars"), "input": tensors}, ["1"])
    assert (card.head, card.image_dtype, card.takes_limits) == ("stars", dtype, takes_limits)


def test_every_key_that_is_read_is_known() -> None:
    """`kiosk models check` refuses keys that are not in the table."""
    read = {key for key in FULL if key.startswith("kiosk.")}
    assert all(key in KEYS or key.startswith(KEY_GROUPS) for key in read)
    assert set(KEYS) - read == {"kiosk.head"}
