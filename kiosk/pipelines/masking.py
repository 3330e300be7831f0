"""Masks: images that say where instances count."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import numpy as np

from kiosk.errors import InvalidRequest
from kiosk.imaging.masks import count_regions, mask_labels, regions_of, without
from kiosk.pipelines.context import JobContext
from kiosk.ports import ImageSource, Window

# The column of the table that says in which label of the mask an instance lies.
WITHIN = "within"
MASK_NAME = "the mask"


def open_mask(context: JobContext) -> AbstractAsyncContextManager[ImageSource]:
    """The mask of a job that has one, for one user at a time."""
    return context.images.use(context.request.within, MASK_NAME)


@asynccontextmanager
async def image_and_mask(
    context: JobContext,
) -> AsyncIterator[tuple[ImageSource, ImageSource | None]]:
    """The image of a job and its mask, None where it has none.

    Opened in the order of their ids: two jobs of which each has the other's image as its mask
    would wait for each other for ever.
    """
    within = context.request.within
    if not within:
        async with context.image() as source:
            yield source, None
    elif within < context.job.upload_id:
        async with open_mask(context) as mask, context.image() as source:
            yield source, mask
    else:
        async with context.image() as source, open_mask(context) as mask:
            yield source, mask


def check_mask(mask: ImageSource, sizes: Mapping[str, int]) -> None:
    """Raise InvalidRequest unless the mask fits an image of these sizes."""
    wrong = [axis for axis in "yx" if mask.sizes[axis] != sizes[axis]]
    wrong += [axis for axis in "tz" if mask.sizes[axis] not in (1, sizes[axis])]
    if wrong or mask.sizes["c"] != 1:
        listed = ", ".join(f"{axis} {mask.sizes[axis]}" for axis in "tczyx")
        wanted = ", ".join(f"{axis} {sizes[axis]}" for axis in "tzyx")
        raise InvalidRequest(
            f"The mask does not fit the image: it has {listed}, and the image {wanted}. Give a mask"
            " of one channel and of the same size, with one plane for all or one for each.",
            reason="BAD_MASK",
            field="within",
        )


def mask_window(mask: ImageSource, place: tuple[int, int], window: Window | None) -> np.ndarray:
    """(y, x) labels of the mask for a window of the plane at (t, z).

    Raises:
        InvalidRequest: it has values that are no labels.
    """
    t, z = (at if mask.sizes[axis] > 1 else 0 for axis, at in zip("tz", place, strict=True))
    return mask_labels(mask.plane(t, z, [0], window)[0])


def inside_of(labels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """(y, x) labels of the instances inside of a mask, numbered 1..n in their order."""
    regions = regions_of(count_regions(labels, mask))
    kept = without(labels, regions.outside)
    numbers = np.zeros(int(labels.max(initial=0)) + 1, np.uint32)
    inside = regions.label[regions.is_inside]
    numbers[inside] = np.arange(1, len(inside) + 1)
    return numbers[kept]


def within_column(labels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """(instance,) int64: the label of the mask in which each instance lies, ascending by label."""
    return regions_of(count_regions(labels, mask)).mask_label
