"""Heads: in which form a network says where the objects are, and what its user may set.

`HEADS` is the one table of maps and parameters. A model names its head in `kiosk.head`; the code
that turns maps into instances is in `kiosk.imaging`, one module per head.
"""

from __future__ import annotations

from dataclasses import dataclass

from kiosk.parameters import SWITCH, WHOLE, option

LARGEST_AREA_PX = 1e9


@dataclass(frozen=True, kw_only=True)
class MapSpec:
    """One output tensor of a network.

    Attributes:
        name: of the tensor.
        axes: "yx", or "cyx" where it has channels.
        channels: fewest and most channels; (1, 1) for "yx".
        uint8, floats: what the values of a uint8 map, and of a float16 or float32 map, mean.
        is_length: the values are pixels, and so grow with the image.
    """

    name: str
    axes: str = "yx"
    channels: tuple[int, int] = (1, 1)
    uint8: str = "255 = 1.0"
    floats: str = "0 to 1"
    is_length: bool = False


@dataclass(frozen=True)
class OutlineParameters:
    """What every head has: the size of what is looked for, and what is done to its outlines."""

    diameter_px: float = option(
        0,
        "Typical diameter of the instances in the image, which the network sees enlarged or"
        " reduced to what it was trained for; 0 = measured in a first pass.",
        maximum=2000,
        unit="px",
        kw_only=True,
    )
    fill_holes_px: float = option(
        0,
        "Holes inside an instance up to this area are filled; 0 leaves all.",
        maximum=LARGEST_AREA_PX,
        unit="px2",
        kw_only=True,
    )
    smooth_outline_px: float = option(
        0,
        "Outlines are rounded: bumps and notches narrower than about twice this go.",
        maximum=50,
        unit="px",
        kw_only=True,
    )
    expand_px: float = option(
        0,
        "Every instance grows by this much; instances that meet do not merge.",
        maximum=200,
        unit="px",
        kw_only=True,
    )


@dataclass(frozen=True)
class TurnableParameters(OutlineParameters):
    """For heads whose map values mean the same in every direction."""

    orientations: int = option(
        1,
        "Quality: the network sees the image in so many orientations (turns and mirrors) and the"
        " maps are averaged; takes so many times as long.",
        minimum=1,
        maximum=8,
        kind=WHOLE,
        kw_only=True,
    )


_MIN_AREA = "Smaller instances are dropped."
_FOREGROUND = "A pixel belongs to some instance from this map value on; higher = tighter."
_SMOOTHING = "Standard deviation of the Gaussian that smooths the map; higher = fewer splits."
_MERGE = (
    "Split strength: two peaks are one instance when the lower rises less than this above the"
    " pass between them; higher = fewer splits."
)


@dataclass(frozen=True)
class InstanceParameters(TurnableParameters):
    """Head `distance`: how a foreground and a distance map become instances.

    Map values are fractions of full scale (0..1).
    """

    foreground_threshold: float = option(0.5, _FOREGROUND)
    # The time for smoothing grows with its width, so that is bounded well above any use: a
    # Gaussian wider than 100 px leaves one peak in a whole tile.
    smoothing_px: float = option(1.0, _SMOOTHING, maximum=100, unit="px")
    merge_height: float = option(0.1, _MERGE)
    peak_threshold: float = option(
        0.15, "An instance whose highest map value stays below this is dropped."
    )
    min_area_px: float = option(12, _MIN_AREA, maximum=LARGEST_AREA_PX, unit="px2")


@dataclass(frozen=True)
class BoundaryParameters(TurnableParameters):
    """Head `boundary`: how a foreground and a boundary map become instances."""

    foreground_threshold: float = option(0.5, _FOREGROUND)
    smoothing_px: float = option(1.0, _SMOOTHING, maximum=100, unit="px")
    merge_height: float = option(
        0.3,
        "Split strength: two cores are one instance when the boundary between them rises less"
        " than this; higher = fewer splits.",
    )
    peak_threshold: float = option(
        0.3, "An instance without a core of at least this (foreground and no boundary) is dropped."
    )
    min_area_px: float = option(12, _MIN_AREA, maximum=LARGEST_AREA_PX, unit="px2")


@dataclass(frozen=True)
class StarParameters(OutlineParameters):
    """Head `stars`: how a foreground map and radial distances become instances."""

    foreground_threshold: float = option(
        0.5, "Only pixels with at least this foreground value propose a polygon."
    )
    overlap_threshold: float = option(
        0.4,
        "Split strength: a polygon goes when it shares more than this part of the smaller area"
        " with a better one; higher = more, overlapping instances.",
    )
    grid_px: int = option(
        1,
        "Only every so many rows and columns propose polygons; higher = faster.",
        minimum=1,
        maximum=16,
        unit="px",
        kind=WHOLE,
    )
    min_area_px: float = option(12, _MIN_AREA, maximum=LARGEST_AREA_PX, unit="px2")


@dataclass(frozen=True)
class FlowParameters(OutlineParameters):
    """Head `flows`: how a foreground map and a flow field become instances."""

    foreground_threshold: float = option(0.5, _FOREGROUND)
    steps: int = option(
        200,
        "Steps that a pixel follows the flow; large objects need more than their diameter.",
        minimum=1,
        maximum=5000,
        kind=WHOLE,
    )
    flow_scale: float = option(
        1,
        "Map value of a flow of one pixel per step; 5 for Cellpose's own networks.",
        minimum=0.01,
        maximum=100,
    )
    min_seed_count: int = option(
        10,
        "Split strength: an instance needs a place where more than so many pixels end; higher ="
        " fewer small instances.",
        maximum=10_000,
        kind=WHOLE,
    )
    flow_error_threshold: float = option(
        0,
        "Instances whose own flows differ more than this (mean square) from the map are dropped;"
        " 0 = no check, Cellpose's default is 0.4.",
        maximum=4,
    )
    min_area_px: float = option(15, _MIN_AREA, maximum=LARGEST_AREA_PX, unit="px2")


@dataclass(frozen=True)
class ClassParameters(TurnableParameters):
    """Head `classes`: how a map per class becomes instances. Class 0 is the background."""

    foreground_class: int = option(
        0,
        "Only this class makes instances; 0 = every class but background and boundary, each"
        " class by itself.",
        maximum=255,
        kind=WHOLE,
    )
    boundary_class: int = option(
        0,
        "The class that lies between instances; its pixels go to the nearest one; 0 = none.",
        maximum=255,
        kind=WHOLE,
    )
    class_threshold: float = option(
        0, "A pixel whose winning class has a lower value than this is background."
    )
    logits: int = option(
        0, "1 = the maps are logits and get a softmax first.", maximum=1, kind=SWITCH
    )
    min_area_px: float = option(12, _MIN_AREA, maximum=LARGEST_AREA_PX, unit="px2")


@dataclass(frozen=True, kw_only=True)
class Head:
    """A form of network output: its maps, and the dataclass of its parameters."""

    maps: tuple[MapSpec, ...]
    parameters: type


_FOREGROUND_MAP = MapSpec(name="foreground")

HEADS: dict[str, Head] = {
    "distance": Head(
        maps=(_FOREGROUND_MAP, MapSpec(name="distance")), parameters=InstanceParameters
    ),
    "boundary": Head(
        maps=(_FOREGROUND_MAP, MapSpec(name="boundary")), parameters=BoundaryParameters
    ),
    "stars": Head(
        maps=(
            _FOREGROUND_MAP,
            MapSpec(
                name="rays",
                axes="cyx",
                channels=(3, 256),
                uint8="pixels, up to 255",
                floats="pixels",
                is_length=True,
            ),
        ),
        parameters=StarParameters,
    ),
    "flows": Head(
        maps=(
            _FOREGROUND_MAP,
            MapSpec(
                name="flows",
                axes="cyx",
                channels=(2, 2),
                uint8="(value - 128) / 127",
                floats="pixels per step x flow_scale",
            ),
        ),
        parameters=FlowParameters,
    ),
    "classes": Head(
        maps=(MapSpec(name="classes", axes="cyx", channels=(2, 256), floats="0 to 1, or logits"),),
        parameters=ClassParameters,
    ),
}
