"""The files that an evaluation writes beside what it prints."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kiosk.errors import InvalidRequest
from kiosk.evaluation.comparison import Evaluation
from kiosk.evaluation.images import ImageFolder
from kiosk.evaluation.picture import write_picture
from kiosk.evaluation.rows import write_csv
from kiosk.settings import LimitSettings


@dataclass(frozen=True, kw_only=True)
class Output:
    """Where to write a table of all planes and a picture with the `worst` planes.

    `images` is the folder of what to show below the outlines.
    """

    table: Path | None = None
    picture: Path | None = None
    images: Path | None = None
    worst: int = 12

    def check(self) -> None:
        """Raises InvalidRequest for what cannot work, before the long part begins."""
        if self.images is not None and self.picture is None:
            raise InvalidRequest("--images are for the picture; add --picture FILE.png.")
        if self.images is not None and not self.images.exists():
            raise InvalidRequest(f"'{self.images}' does not exist.")
        if self.picture is not None and self.picture.suffix.lower() != ".png":
            raise InvalidRequest(f"The picture is a PNG: call it '{self.picture.stem}.png'.")

    def write(self, evaluation: Evaluation, limits: LimitSettings) -> None:
        """Write what was asked for. Raises InvalidRequest when it cannot be written."""
        if self.table is not None:
            write_csv(self.table, evaluation)
        if self.picture is not None:
            images = ImageFolder(self.images, limits) if self.images else None
            write_picture(self.picture, evaluation, worst=self.worst, images=images)
