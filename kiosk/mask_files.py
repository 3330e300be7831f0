"""The masks of a batch: one for all images, or one for each."""

from __future__ import annotations

import asyncio
from pathlib import Path

from kiosk.client import AsyncKiosk
from kiosk.errors import InvalidRequest
from kiosk.image_paths import find_images, is_address, is_image_folder, stem_of


class MaskFiles:
    """The mask of every image: one for all, or one of its name in a folder."""

    def __init__(self, kiosk: AsyncKiosk, within: str) -> None:
        self._kiosk, self._within = kiosk, within
        self._uploads: dict[str, asyncio.Future[str]] = {}
        self._by_stem: dict[str, str] | None = None
        path = Path(within)
        if not within or is_address(within):
            return
        if path.is_dir() and not is_image_folder(path):
            self._by_stem = {stem_of(name): name for name in find_images([within])}
        elif not path.exists():
            raise InvalidRequest(f"The mask '{within}' does not exist.")

    async def of(self, stem: str) -> str:
        """Name of the upload with the mask of an image; "" for none. Raises InvalidRequest."""
        path = self._within
        if not path:
            return ""
        if self._by_stem is not None:
            path = self._by_stem.get(stem, "") or self._by_stem.get(f"{stem}_labels", "")
            if not path:
                raise InvalidRequest(
                    f"there is no mask '{stem}' or '{stem}_labels' in '{self._within}'.",
                    reason="MASK_NOT_FOUND",
                    field="within",
                )
        if path not in self._uploads:
            self._uploads[path] = asyncio.ensure_future(self._kiosk.upload(path))
        return await self._uploads[path]
