"""Images at addresses in a bucket: a file, a zip, an OME-Zarr folder; what is not there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from image_makers import everything, pixels, tiff
from zarr_makers import reader, write_image, zipped

from kiosk.adapters.object_store import ObstoreObjectStore
from kiosk.errors import KioskError


@pytest.fixture
def store(bucket: str) -> ObstoreObjectStore:
    return ObstoreObjectStore(bucket)


async def test_a_tiff(store: ObstoreObjectStore, bucket: str) -> None:
    data = pixels(4, 40, 50)
    await store.put(
        "plate 1/cells.tif", tiff(data, tile=(16, 16), compression="zlib", photometric="minisblack")
    )
    source = reader().open(f"{bucket}/plate%201/cells.tif", "cells.tif")
    np.testing.assert_array_equal(everything(source).reshape(data.shape), data)


async def test_an_ome_zarr_folder_and_the_same_as_a_zip(
    store: ObstoreObjectStore, bucket: str, tmp_path: Path
) -> None:
    data = pixels(2, 33, 20)
    write_image(tmp_path, data, "cyx")
    for path in tmp_path.rglob("*"):
        if path.is_file():
            await store.put(f"cells.zarr/{path.relative_to(tmp_path)}", path.read_bytes())
    await store.put("cells.zarr.zip", zipped(tmp_path))
    for name in ("cells.zarr", "cells.zarr.zip"):
        source = reader().open(f"{bucket}/{name}", name)
        np.testing.assert_array_equal(source.plane(0, 0, [0, 1]), data)


@pytest.mark.parametrize("name", ["gone.tif", "gone.zarr"])
@pytest.mark.usefixtures("store")
async def test_nothing_there(bucket: str, name: str) -> None:
    with pytest.raises(KioskError, match="gone"):
        reader().open(f"{bucket}/{name}", name)
