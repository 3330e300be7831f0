"""Images for the browser tests, made up: python images.py FOLDER."""

import io
import sys
import zipfile
from pathlib import Path

import numpy as np
import tifffile

from kiosk.imaging.sample import make_sample


def main(folder: Path) -> None:
    """cells.ome.tif (two channels), movie.tif and its truth, big.tif, broken.tif, plate.zip."""
    folder.mkdir(parents=True, exist_ok=True)
    sample = make_sample(frames=8, height_px=360, width_px=480, nuclei=50)
    green = (sample.images[0] // 3 + 200).astype(np.uint16)
    tifffile.imwrite(
        folder / "cells.ome.tif",
        np.stack([sample.images[0], green]),
        metadata={
            "axes": "CYX",
            "Channel": {"Name": ["DAPI", "GFP"]},
            "PhysicalSizeX": 0.65,
            "PhysicalSizeY": 0.65,
        },
    )
    tifffile.imwrite(folder / "movie.tif", sample.images, imagej=True, metadata={"axes": "TYX"})
    tifffile.imwrite(
        folder / "movie_truth.tif", sample.labels, imagej=True, metadata={"axes": "TYX"}
    )
    for name, seed in (("one", 1), ("two", 2), ("three", 3)):
        plane = make_sample(frames=1, height_px=256, width_px=256, nuclei=20, seed=seed).images[0]
        tifffile.imwrite(folder / f"{name}.tif", plane)
    large = make_sample(frames=1, height_px=1800, width_px=2400, nuclei=900, seed=4).images[0]
    tifffile.imwrite(folder / "big.tif", large)
    (folder / "broken.tif").write_bytes(b"II*\0" + bytes(range(200)))
    with zipfile.ZipFile(folder / "plate.zip", "w") as archive:
        for seed, well in enumerate(("A1", "A2")):
            file = io.BytesIO()
            tifffile.imwrite(file, make_sample(1, 200, 200, 12, seed).images[0])
            archive.writestr(f"{well}.tif", file.getvalue())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
