"""What a caller asks of tracking, besides which movie and which model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from kiosk.errors import InvalidRequest
from kiosk.request import SegmentationRequest

# How instances are linked: by the network that the kiosk hosts, or by positions and shapes alone.
NETWORK, GEOMETRIC = "network", "geometric"
# What the linker sees ahead.
LONGEST_GAP_FRAMES = 3


@dataclass(frozen=True, kw_only=True)
class TrackingRequest:
    """Everything about a tracking that is neither the file nor the model.

    Attributes:
        segmentation: channel, reading, formats, parameters; region, volume and mask are not used.
        labels: id of an upload with label images to link; "" = the model finds the instances.
        tracks: id of an upload with a corrected table of tracks of these labels; it is not linked
            then, the table says who is who.
        labels_are_tracks: a number in the labels is the same cell in all frames; not linked.
        skip_bad_frames: a frame that cannot be read or segmented is empty instead of the end.
        linker: "network" or "geometric"; "" = the network where the kiosk hosts one.
        linking_version: of the network; the server fills it in, "" = geometric.
        labels_name, tracks_name: names of the uploaded files, for messages; filled in as well.
        longest_gap_frames: most frames that a cell may be missed in; None = the linker's default.
        reach_px: longest way from one frame to the next; 0 = from the cells' sizes and spacing.
        divisions: a cell may become two.
        mend: cells that the model has cut or run together in single frames are mended by the
            frames around.
        correct_drift: what the whole frame has moved is taken off before linking.
    """

    segmentation: SegmentationRequest = SegmentationRequest()
    labels: str = ""
    tracks: str = ""
    labels_are_tracks: bool = False
    skip_bad_frames: bool = False
    linker: str = ""
    linking_version: str = ""
    labels_name: str = "the label images"
    tracks_name: str = "the table of tracks"
    longest_gap_frames: int | None = None
    reach_px: float = 0.0
    divisions: bool = True
    correct_drift: bool = True
    mend: bool = True

    def __post_init__(self) -> None:
        if self.linker not in ("", NETWORK, GEOMETRIC):
            raise InvalidRequest(
                f"There is no linker '{self.linker}'; choose '{NETWORK}' or '{GEOMETRIC}'.",
                field="linker",
            )
        if self.segmentation.plane is not None or self.segmentation.preview:
            raise InvalidRequest(
                "Cells are followed through all frames; leave plane and preview out, or leave the"
                " tracking out to look at one plane.",
                reason="BAD_PLANE",
                field="plane",
            )
        if (self.tracks or self.labels_are_tracks) and not self.labels:
            raise InvalidRequest(
                "Corrected tracks need the label images that they belong to; give both.",
                reason="NO_LABELS",
                field="labels",
            )
        gap = self.longest_gap_frames
        if gap is not None and not 0 <= gap <= LONGEST_GAP_FRAMES:
            raise InvalidRequest(
                f"A gap of {gap} frames cannot be closed; choose 0 (none) to {LONGEST_GAP_FRAMES}.",
                field="longest_gap_frames",
            )
        if not 0 <= self.reach_px < 1e6:  # NaN fails too
            raise InvalidRequest(
                "The reach must be a number of pixels above 0, or 0 for the default.",
                field="reach_px",
            )

    @property
    def is_linked(self) -> bool:
        """Whether links are looked for: nobody has said who is who."""
        return not (self.tracks or self.labels_are_tracks)

    @property
    def wants_patches(self) -> bool:
        """How every instance looks is asked for: only the network does."""
        return bool(self.linking_version)

    def as_parameters(self) -> dict[str, Any]:
        """As it stands in the record of a job: JSON values, without what was not asked."""
        plain = TrackingRequest(segmentation=self.segmentation)
        asked = {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if getattr(self, field.name) != getattr(plain, field.name)
        }
        return {**self.segmentation.as_parameters(), "tracking": asked}

    @classmethod
    def from_parameters(cls, values: Mapping[str, Any]) -> TrackingRequest:
        """The inverse of `as_parameters`; what is missing has its default."""
        segmentation = SegmentationRequest.from_parameters(values)
        return cls(segmentation=segmentation, **(values.get("tracking") or {}))
