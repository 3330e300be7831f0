"""Requests to the DeepCell Kiosk, and what they ask for in this kiosk's words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pydantic import BaseModel, ConfigDict

from kiosk.errors import InvalidRequest
from kiosk.exports import FORMATS, GROWN, GROWN_NOTE
from kiosk.reading import InspectedImage

# Types of jobs that follow cells through time.
TRACKING = frozenset({"caliban", "tracking"})
SEGMENTATION, CYTOPLASM = "segmentation", "cytoplasm"
# Types whose answer is two label images: whole cells, and the nuclei in them. Their images have a
# channel of nuclei and one of membranes, in this order.
TWO_IMAGES = frozenset({"mesmer", "multiplex"})
NUCLEI_CHANNEL, CELLS_CHANNEL = "0", "1"
# How a request for segmentation says that it means whole cells; numbers are the old labels.
_WHOLE_CELL = frozenset({"cytoplasm", "cyto", "whole-cell", "phase", "1", "2"})
# `scale` is relative to an objective of 20x: micrometres of a pixel at scale 1.
UM_AT_SCALE_1 = 0.5
SMALLEST_SCALE, LARGEST_SCALE = 0.1, 10.0


class OldBody(BaseModel):
    """A body as old programs send it: with fields that nobody reads."""

    model_config = ConfigDict(extra="ignore")


class JobForm(OldBody):
    """Choices of the old page."""

    scale: float | str | None = None
    selectedChannels: Sequence[int | str | None] | str | None = None  # noqa: N815
    dimensionOrder: str | None = None  # noqa: N815
    segmentationType: str | None = None  # noqa: N815


class PredictBody(OldBody):
    """Body of POST /api/predict."""

    jobType: str  # noqa: N815
    imageName: str  # noqa: N815
    uploadedName: str = ""  # noqa: N815
    modelName: str = ""  # noqa: N815
    modelVersion: str | int = ""  # noqa: N815
    dataLabel: str | int | None = None  # noqa: N815
    jobForm: JobForm | None = None  # noqa: N815


class HashBody(OldBody):
    """Body of POST /api/status."""

    hash: str


class FieldsBody(HashBody):
    """Body of POST /api/redis."""

    key: str | list[str]


class ExpireBody(HashBody):
    """Body of POST /api/redis/expire."""

    expireIn: float | str | None = None  # noqa: N815


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a request asks for, in this kiosk's words.

    Attributes:
        channel: number of the channel, "" = not said.
        axes: of the file, slowest first; "" = not said.
        pixel_size_um: 0 = not said.
        nuclei_model, nuclei_channel: of the nuclei, where they are wanted beside whole cells; ""
            = they are not.
    """

    kind: str
    model: str
    model_version: str = ""
    channel: str = ""
    axes: str = ""
    pixel_size_um: float = 0.0
    nuclei_model: str = ""
    nuclei_channel: str = ""

    @property
    def is_tracking(self) -> bool:
        return self.kind in TRACKING

    @property
    def is_grown(self) -> bool:
        """Whole cells are nuclei that are grown, as there is no network for the cells."""
        return self.model == self.nuclei_model

    @property
    def formats(self) -> tuple[str, ...]:
        """Of the results; () = the default set."""
        if not self.is_grown:
            return ()
        return (*(name for name, item in FORMATS.items() if item.is_default), GROWN)

    @property
    def jobs(self) -> list[Wanted]:
        """What is to be done for an image, job by job: one, or whole cells and then nuclei."""
        if not self.nuclei_model:
            return [self]
        if self.is_grown:
            return [replace(self, channel=self.nuclei_channel)]
        nuclei = replace(
            self,
            model=self.nuclei_model,
            model_version="",
            channel=self.nuclei_channel,
            nuclei_model="",
        )
        return [self, nuclei]


def job_types(setting: str) -> dict[str, str]:
    """Type of job -> model, of `KIOSK_LISTEN__DEEPCELL_MODELS`."""
    pairs = [pair.partition("=") for pair in setting.split()]
    return {kind: model for kind, _, model in pairs}


def wanted(body: PredictBody, models: Mapping[str, str]) -> Wanted:
    """What a request asks for. Raises InvalidRequest.

    Args:
        models: type of job -> the model that does it.
    """
    form = body.jobForm or JobForm()
    kind = body.jobType.lower().removesuffix("-zip")
    channels = _channels(form.selectedChannels)
    if kind == SEGMENTATION and CYTOPLASM in models:
        asked = {str(form.segmentationType).lower(), str(body.dataLabel).lower()}
        if asked & _WHOLE_CELL or (channels[0] == "" != channels[1]):
            kind = CYTOPLASM
    if kind not in models:
        known = ", ".join(models)
        raise InvalidRequest(
            f"This kiosk has no job type '{body.jobType[:50]}'. The job types are: {known}. Whoever"
            " runs it can name a model for another one with KIOSK_LISTEN__DEEPCELL_MODELS.",
            reason="UNKNOWN_JOB_TYPE",
            field="jobType",
        )
    first = channels[1] or channels[0] if kind == CYTOPLASM else channels[0] or channels[1]
    found = Wanted(
        kind=kind,
        model=models[kind],
        channel=first,
        axes=_axes(form.dimensionOrder or ""),
        pixel_size_um=_scale(form.scale) * UM_AT_SCALE_1,
    )
    return _with_nuclei(found, models, *channels) if kind in TWO_IMAGES else found


def _with_nuclei(found: Wanted, models: Mapping[str, str], nuclei: str, cells: str) -> Wanted:
    """Whole cells and nuclei of the image. Raises InvalidRequest.

    Args:
        nuclei, cells: the channels that were chosen, "" = none.
    """
    if cells and not nuclei:
        raise InvalidRequest(
            "Nuclei are looked for, too; choose the channel that shows them.",
            reason="CHANNEL_NEEDED",
            field="jobForm.selectedChannels",
        )
    return replace(
        found,
        channel=cells or nuclei or CELLS_CHANNEL,
        # The old page sent XYB with every image, and there is no movie of these.
        axes=found.axes if "C" in found.axes else "",
        nuclei_model=models.get(SEGMENTATION, found.model),
        nuclei_channel=nuclei or NUCLEI_CHANNEL,
    )


def notes_of(models: Mapping[str, str]) -> dict[str, str]:
    """Type of job -> what is to be known of its answers."""
    notes = {}
    for kind in models:
        if kind in TWO_IMAGES:
            asked = _with_nuclei(Wanted(kind=kind, model=models[kind]), models, "", "")
            notes[kind] = (
                f"Nuclei are found by '{asked.nuclei_model}'; whole cells are these nuclei, grown."
                f" {GROWN_NOTE}"
                if asked.is_grown
                else f"Whole cells are found by '{asked.model}', nuclei by '{asked.nuclei_model}',"
                " each with numbers of their own."
            )
    return notes


def axes_of(asked: Wanted, image: InspectedImage) -> str:
    """The axes to read a file by: as asked, unless that is what the file says anyway, or they
    are not its number (the old page sent XYB with every image); "" = as the file says."""
    said = image.axes.replace("S", "C")
    if image.format.startswith("OME"):
        return ""
    if asked.kind in TWO_IMAGES and not asked.axes and said == "TYX":
        # Two planes without names are taken for time points elsewhere.
        return {"t": "CYX", "x": "YXC"}.get(_axis_of_two(image), "")
    return "" if len(said) != len(asked.axes) or said == asked.axes else asked.axes


def _axis_of_two(image: InspectedImage) -> str:
    return next((axis for axis in "tx" if image.sizes[axis] == 2), "")


def _channels(value: Sequence[int | str | None] | str | None) -> tuple[str, str]:
    """Numbers of the channels of nuclei and of whole cells, "" where there is none."""
    items = value.split(",") if isinstance(value, str) else list(value or ())
    texts = ["" if item is None else str(item).strip() for item in items]
    nuclei, cells = (*texts, "", "")[:2]
    return nuclei, cells


def _axes(order: str) -> str:
    """Axes, slowest first: rows were called X there, frames B (batch)."""
    letters = order.upper()
    if not letters:
        return ""
    if not {"X", "Y"} <= set(letters) <= set("XYBC") or len(set(letters)) != len(letters):
        raise InvalidRequest(
            f"The dimension order '{order[:20]}' is none; take one such as XYB, XYC, BXY or CXY.",
            field="jobForm.dimensionOrder",
        )
    return letters.translate(str.maketrans("XYB", "YXT"))


def _scale(value: float | str | None) -> float:
    """0 where nothing was said. Raises InvalidRequest."""
    if value in (None, ""):
        return 0.0
    try:
        scale = float(value)
    except ValueError:
        scale = -1.0
    if not SMALLEST_SCALE <= scale <= LARGEST_SCALE:
        raise InvalidRequest(
            f"The scale must be a number from {SMALLEST_SCALE:g} to {LARGEST_SCALE:g}.",
            field="jobForm.scale",
        )
    return scale
