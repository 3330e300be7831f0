"""What a caller asks of a segmentation, besides which image and which model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kiosk.errors import InvalidRequest
from kiosk.reading import ReadOptions


@dataclass(frozen=True, kw_only=True)
class Region:
    """A rectangle of every plane: rows [min_y_px, max_y_px), columns [min_x_px, max_x_px)."""

    min_y_px: int
    min_x_px: int
    max_y_px: int
    max_x_px: int

    def __post_init__(self) -> None:
        if min(self.min_y_px, self.min_x_px) < 0 or (
            self.max_y_px <= self.min_y_px or self.max_x_px <= self.min_x_px
        ):
            raise InvalidRequest(
                f"The region has rows {self.min_y_px} to {self.max_y_px} and columns"
                f" {self.min_x_px} to {self.max_x_px}; it must lie inside of the image and be at"
                " least one pixel wide and high.",
                reason="BAD_REGION",
                field="region",
            )

    def check_within(self, height_px: int, width_px: int) -> None:
        """Raise InvalidRequest when the region reaches beyond a plane of this size."""
        if self.max_y_px > height_px or self.max_x_px > width_px:
            raise InvalidRequest(
                f"The region ends at row {self.max_y_px} and column {self.max_x_px}, and the image"
                f" has {height_px} rows and {width_px} columns; choose it inside of the image.",
                reason="BAD_REGION",
                field="region",
            )


@dataclass(frozen=True, kw_only=True)
class Plane:
    """One plane of an image; t and z count from 0."""

    t: int
    z: int

    def __post_init__(self) -> None:
        if min(self.t, self.z) < 0:
            raise InvalidRequest(
                "Planes are counted from 0 along t and z.", reason="BAD_PLANE", field="plane"
            )

    def check_within(self, sizes: Mapping[str, int]) -> None:
        """Raise InvalidRequest when an image of these sizes has no such plane."""
        if self.t >= sizes["t"] or self.z >= sizes["z"]:
            raise InvalidRequest(
                f"There is no plane at t = {self.t} and z = {self.z}: the image has {sizes['t']}"
                f" along t and {sizes['z']} along z, counted from 0.",
                reason="BAD_PLANE",
                field="plane",
            )


# The formats of a preview, and the longest side of its region: one tile, which takes a second.
PREVIEW_FORMATS = ("labels", "table")
PREVIEW_PX = 1024


@dataclass(frozen=True, kw_only=True)
class SegmentationRequest:
    """Everything about a segmentation that is neither the file nor the model.

    Attributes:
        channel: name or number (from 0) of the channel to segment; "" = the only one.
        postprocessing: parameters that replace the model's defaults.
        reading: which image of the file, and how to read it.
        region: the part of every plane to segment; None = all of it.
        volume: join the instances of the planes of a z-stack to instances in 3-D.
        formats: names of the result formats, see `kiosk.exports.FORMATS`; () = the default set.
        within: id of an upload with a mask or label image; only instances inside of it count.
        plane: only this plane of the image; None = all of them.
        preview: a quick look at a small region of one plane, in the formats of previews. Limits
            and scale come from what is near, so that a slide need not be read whole.
    """

    channel: str = ""
    postprocessing: Mapping[str, float] = field(default_factory=dict)
    reading: ReadOptions = ReadOptions()
    region: Region | None = None
    volume: bool = False
    formats: tuple[str, ...] = ()
    within: str = ""
    plane: Plane | None = None
    preview: bool = False

    def __post_init__(self) -> None:
        if self.plane is not None and self.volume:
            raise InvalidRequest(
                "Instances in 3-D need all planes of a stack; leave out either the plane or 3-D.",
                reason="BAD_PLANE",
                field="plane",
            )
        if self.preview:
            self._check_preview()

    def _check_preview(self) -> None:
        region = self.region
        if region is None or self.plane is None:
            raise InvalidRequest(
                "A preview is of one region of one plane; name both.",
                reason="BAD_PREVIEW",
                field="preview",
            )
        sides_px = region.max_y_px - region.min_y_px, region.max_x_px - region.min_x_px
        if max(sides_px) > PREVIEW_PX:
            raise InvalidRequest(
                f"The region of a preview has at most {PREVIEW_PX} x {PREVIEW_PX} pixels; choose a"
                " smaller one, or leave the preview out.",
                reason="BAD_PREVIEW",
                field="region",
            )
        if self.formats and set(self.formats) != set(PREVIEW_FORMATS):
            raise InvalidRequest(
                "A preview gives labels and the table, nothing else; leave the formats out.",
                reason="BAD_PREVIEW",
                field="formats",
            )

    @property
    def result_formats(self) -> tuple[str, ...]:
        """Names of the formats to write; () = the default set."""
        return PREVIEW_FORMATS if self.preview else self.formats

    def as_parameters(self) -> dict[str, Any]:
        """As it stands in the record of a job: JSON values, without what was not asked."""
        values: dict[str, Any] = {}
        if self.channel:
            values["channel"] = self.channel
        if self.postprocessing:
            values["postprocessing"] = dict(self.postprocessing)
        if reading := self.reading.as_dict():
            values["reading"] = reading
        if self.region is not None:
            values["region"] = dict(vars(self.region))
        if self.volume:
            values["volume"] = True
        if self.formats:
            values["formats"] = list(self.formats)
        if self.within:
            values["within"] = self.within
        if self.plane is not None:
            values["plane"] = dict(vars(self.plane))
        if self.preview:
            values["preview"] = True
        return values

    @classmethod
    def from_parameters(cls, values: Mapping[str, Any]) -> SegmentationRequest:
        """The inverse of `as_parameters`; what is missing has its default."""
        region, plane = values.get("region"), values.get("plane")
        return cls(
            channel=str(values.get("channel", "")),
            postprocessing=values.get("postprocessing") or {},
            reading=ReadOptions.from_dict(values.get("reading") or {}),
            region=Region(**{k: int(v) for k, v in region.items()}) if region else None,
            volume=bool(values.get("volume", False)),
            formats=tuple(values.get("formats") or ()),
            within=str(values.get("within", "")),
            plane=Plane(**{k: int(v) for k, v in plane.items()}) if plane else None,
            preview=bool(values.get("preview", False)),
        )
