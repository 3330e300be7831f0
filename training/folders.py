"""A user's folder of annotated images, read for fine-tuning and refused in plain words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from kiosk.adapters.image_files import ImageFileReader
from kiosk.errors import InvalidRequest
from kiosk.models import ModelCard
from kiosk.pipelines.channels import choose_channels
from kiosk.settings import LimitSettings
from training.dataset import LabelledPlane

SUFFIXES = {".tif", ".tiff", ".png", ".jpg", ".jpeg"}
LABEL_ENDING = re.compile(r"_(labels?|masks?|gt|cp_masks)$")
MIN_INSTANCES = 10
SMALLEST_SIDE_PX = 32
EXPECTED = (
    "Expected are pairs: images/NAME.tif with labels/NAME.tif, or NAME.tif beside NAME_labels.tif."
)


def read_folder(folder: Path, card: ModelCard, channel: str = "") -> list[LabelledPlane]:
    """Every annotated plane of a folder, in the order of the names.

    Args:
        folder: `images/` and `labels/` (or `masks/`) with equal names, or images beside their
            labels (NAME.tif and NAME_labels.tif, _label, _mask, _masks, _gt).
        card: the model that is to learn; says whether colour is allowed.
        channel: name or number of the channel to use, as in `kiosk segment`.

    Raises:
        InvalidRequest: with one sentence that names the file and what to do.
    """
    if not folder.is_dir():
        raise InvalidRequest(f"There is no folder '{folder}'. {EXPECTED}")
    planes = [
        plane for image, labels in _pairs(folder) for plane in _planes(image, labels, card, channel)
    ]
    if len({plane.pixels.ndim for plane in planes}) > 1 and not card.accepts_rgb:
        raise InvalidRequest("Grey and colour images cannot be mixed; choose a channel.")
    instances = sum(np.unique(plane.labels[plane.labels > 0]).size for plane in planes)
    if instances < MIN_INSTANCES:
        raise InvalidRequest(
            f"The labels of '{folder}' hold {instances} cells; at least {MIN_INSTANCES} are needed,"
            " and some hundreds are good."
        )
    return planes


def _pairs(folder: Path) -> Iterator[tuple[Path, Path]]:
    label_folder = next((folder / n for n in ("labels", "masks") if (folder / n).is_dir()), None)
    if (folder / "images").is_dir() and label_folder is not None:
        images = _image_files(folder / "images")
        labels = {LABEL_ENDING.sub("", path.stem): path for path in _image_files(label_folder)}
    else:
        files = _image_files(folder)
        labels = {LABEL_ENDING.sub("", path.stem): path for path in files if _is_label(path)}
        images = [path for path in files if not _is_label(path)]
    matched = [(image, labels[image.stem]) for image in images if image.stem in labels]
    if not matched:
        raise InvalidRequest(f"No image in '{folder}' has labels. {EXPECTED}")
    lonely = [image.name for image in images if image.stem not in labels]
    if lonely:
        raise InvalidRequest(
            f"'{lonely[0]}' has no labels"
            + (f", nor have {len(lonely) - 1} other images" if len(lonely) > 1 else "")
            + ". Annotate it or move it elsewhere: unlabelled cells would be learnt as background."
        )
    yield from matched


def _image_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)


def _is_label(path: Path) -> bool:
    return LABEL_ENDING.search(path.stem) is not None


def _planes(image: Path, labels: Path, card: ModelCard, channel: str) -> Iterator[LabelledPlane]:
    pixels = list(_pixel_planes(image, card, channel))
    masks = list(_label_planes(labels))
    if len(pixels) != len(masks):
        raise InvalidRequest(
            f"'{image.name}' has {len(pixels)} planes and its labels '{labels.name}' {len(masks)}."
        )
    for number, (plane, mask) in enumerate(zip(pixels, masks)):
        if plane.shape[:2] != mask.shape:
            raise InvalidRequest(
                f"'{image.name}' is {plane.shape[0]} x {plane.shape[1]} px and its labels"
                f" '{labels.name}' {mask.shape[0]} x {mask.shape[1]} px; they must show the same."
            )
        if min(mask.shape) < SMALLEST_SIDE_PX:
            raise InvalidRequest(f"'{image.name}' is smaller than {SMALLEST_SIDE_PX} px.")
        name = image.stem if len(pixels) == 1 else f"{image.stem}_{number}"
        yield LabelledPlane(name=name, modality="images", pixels=plane, labels=mask)


def _pixel_planes(path: Path, card: ModelCard, channel: str) -> Iterator[np.ndarray]:
    """(y, x), or (y, x, 3) of a colour image."""
    with path.open("rb") as file:
        source = ImageFileReader(LimitSettings()).open(file, path.name)
        channels = choose_channels(source, card, channel)
        for t in range(source.sizes["t"]):
            for z in range(source.sizes["z"]):
                plane = source.plane(t, z, channels)
                yield plane[0] if len(channels) == 1 else plane.transpose(1, 2, 0)


def _label_planes(path: Path) -> Iterator[np.ndarray]:
    """(y, x) int32 label images."""
    with path.open("rb") as file:
        source = ImageFileReader(LimitSettings()).open(file, path.name)
        if source.sizes["c"] != 1:
            raise InvalidRequest(
                f"'{path.name}' is a colour picture; labels are one channel of whole numbers, 0 for"
                " the background and one number per cell."
            )
        for t in range(source.sizes["t"]):
            for z in range(source.sizes["z"]):
                yield _checked(source.plane(t, z, [0])[0], path.name)


def _pieces(mask: np.ndarray) -> int:
    return cv2.connectedComponents(mask.astype(np.uint8))[0] - 1


def _checked(labels: np.ndarray, name: str) -> np.ndarray:
    if labels.dtype.kind == "f" and not np.array_equal(labels, np.rint(labels)):
        raise InvalidRequest(f"'{name}' holds fractions; labels are whole numbers, one per cell.")
    if labels.min() < 0:
        raise InvalidRequest(f"'{name}' holds negative numbers; labels are 0, 1, 2, ...")
    values = np.unique(labels)
    if values.size == 2 and values[0] == 0 and _pieces(labels > 0) > 1:
        raise InvalidRequest(
            f"'{name}' looks like a mask with one value ({values[1]}) for all cells; give every"
            " cell a number of its own (Fiji: Plugins > MorphoLibJ > Connected Components)."
        )
    # Numbered anew: training keeps labels as float32, which holds whole numbers up to 2**24.
    _, index = np.unique(labels, return_inverse=True)
    return index.reshape(labels.shape).astype(np.int32) + (0 if values[0] == 0 else 1)
