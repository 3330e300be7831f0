"""A picture for people: one plane with its instances outlined."""

from __future__ import annotations

from pathlib import Path

from kiosk.exports.writer import LabelPlane, ResultImage, Writer
from kiosk.imaging.rendering import display_plane, draw_outlines, encode_jpeg

PICTURE_PX = 1600


class OverlayPicture(Writer):
    """The plane in the middle of the image as JPEG."""

    def __init__(self, path: Path, image: ResultImage) -> None:
        super().__init__(path, image)
        self._left = image.sizes["t"] * image.sizes["z"] // 2

    def add_plane(self, plane: LabelPlane) -> None:
        if self._left == 0:
            channels = self.image.channels
            picture = display_plane(plane.small_pixels(channels, PICTURE_PX), PICTURE_PX)
            drawn = draw_outlines(picture, plane.small_labels(PICTURE_PX))
            self.path.write_bytes(encode_jpeg(drawn))
        self._left -= 1
