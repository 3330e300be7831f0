"""The images that labels were drawn on, found by name, to show under the outlines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kiosk.adapters.image_files import ImageFileReader
from kiosk.errors import InvalidRequest
from kiosk.evaluation.comparison import PlaneResult
from kiosk.evaluation.pairs import Pair
from kiosk.imaging.rendering import display_plane
from kiosk.pipelines.planes import plane_places
from kiosk.ports import ImageSource
from kiosk.settings import LimitSettings

SUFFIXES = {".tif", ".tiff", ".png", ".jpg", ".jpeg"}


class ImageFolder:
    """Planes of the images in a folder, or of one image file.

    An image in a folder is called like its truth file, which may end in _labels, _mask or _gt as
    well; a single file may have any name.
    """

    def __init__(self, path: Path, limits: LimitSettings) -> None:
        """Raises InvalidRequest when there is no image."""
        if not path.exists():
            raise InvalidRequest(f"'{path}' does not exist.")
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        self._files = {file.stem: file for file in files if file.suffix.lower() in SUFFIXES}
        if not self._files:
            raise InvalidRequest(f"There is no TIFF, PNG or JPEG file in '{path}'.")
        self._path = path
        self._reader = ImageFileReader(limits)

    def check(self, shown: Sequence[PlaneResult]) -> None:
        """Raises InvalidRequest when no image belongs to any of these planes."""
        names = sorted({result.pair.name for result in shown})
        if not self._path.is_dir() and len(names) > 1:
            raise InvalidRequest(
                f"'{self._path}' is one image and there are several truth files; give the folder"
                " of the images."
            )
        if all(self._file(result.pair) is None for result in shown):
            raise InvalidRequest(
                f"No image in '{self._path}' belongs to the planes shown: NAME.tif of the truth"
                f" needs an image NAME, for example '{names[0]}.tif'."
            )

    def plane(self, result: PlaneResult, shape: tuple[int, ...]) -> np.ndarray | None:
        """(1 or 3, y, x) pixels of a plane, or None where there is no image of that name.

        Channels that are not red, green and blue are stretched one by one and laid over each
        other, because nobody says which of them the labels were drawn on.

        Raises:
            InvalidRequest: the image cannot be read or is not the size of the labels.
        """
        path = self._file(result.pair)
        if path is None:
            return None
        with path.open("rb") as file:
            source = self._reader.open(file, path.name)
            try:
                return _plane(source, result, path, shape)
            finally:
                source.close()

    def _file(self, pair: Pair) -> Path | None:
        if not self._path.is_dir():
            return self._path
        return self._files.get(pair.image_name) or self._files.get(pair.name)


def _plane(
    source: ImageSource, result: PlaneResult, path: Path, shape: tuple[int, ...]
) -> np.ndarray:
    places = plane_places(source.sizes)
    size = (source.sizes["y"], source.sizes["x"])
    if result.plane >= len(places) or size != shape:
        raise InvalidRequest(
            f"'{path}' has {len(places)} planes of {size[1]} x {size[0]} pixels and does not fit"
            f" plane {result.plane} of {result.pair.truth.name} with {shape[1]} x {shape[0]}."
            " Give the images that the labels were drawn on."
        )
    channels = range(source.sizes["c"])
    pixels = source.plane(*places[result.plane], list(channels))
    if source.is_rgb or len(channels) == 1:
        return pixels
    shown = [display_plane(pixels[c : c + 1], max(size))[:, :, 0] for c in channels]
    return np.max(shown, axis=0)[None]
