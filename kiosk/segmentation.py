"""What goes into and comes out of a segmentation, as arrays: for the client library."""

from __future__ import annotations

import io
from functools import cached_property

import numpy as np

from kiosk.errors import InvalidRequest
from kiosk.job_files import JobFiles


class Segmentation(JobFiles):
    """The results of one segmentation."""

    @cached_property
    def table(self) -> dict[str, np.ndarray]:
        """One array per column, one entry per instance; `pandas.DataFrame(table)` takes it."""
        return self._table("_instances.csv")


def as_tiff(array: np.ndarray, axes: str) -> bytes:
    """An array as the bytes of an OME-TIFF; axes as in `AsyncKiosk.segment`."""
    import tifffile

    array = _in_a_type_of_ome(array)
    axes = axes.upper() or {2: "YX", 3: "TYX", 4: "TZYX"}.get(array.ndim, "")
    if len(axes) != array.ndim or not set(axes) <= set("TCZYXS") or "YX" not in axes:
        raise InvalidRequest(
            f"An array with the shape {array.shape} needs axes like 'TYX' (letters of TCZYXS, one"
            f" per axis), not '{axes}'.",
            reason="BAD_AXES",
        )
    rgb = axes.endswith("S")
    with io.BytesIO() as file:
        tifffile.imwrite(
            file,
            array,
            ome=True,
            metadata={"axes": axes},
            photometric="rgb" if rgb else "minisblack",
            bigtiff=array.nbytes > 2**32 - 2**25,
        )
        return file.getvalue()


def _in_a_type_of_ome(array: np.ndarray) -> np.ndarray:
    """The same values in a type that OME-TIFF has: numpy's own whole numbers have 64 bit."""
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind == "b":
        return array.astype(np.uint8) * 255
    if kind in "iu" and size == 8:
        low, high = int(array.min(initial=0)), int(array.max(initial=0))
        if low >= 0 and high <= np.iinfo(np.uint32).max:
            return array.astype(np.uint32)
        fits = low >= np.iinfo(np.int32).min and high <= np.iinfo(np.int32).max
        return array.astype(np.int32 if fits else np.float64)
    if kind == "f" and size not in (4, 8):
        return array.astype(np.float32 if size == 2 else np.float64)
    if kind not in "iuf":
        raise InvalidRequest(
            f"An array of the type {array.dtype} is no image; give whole numbers or floats.",
            reason="BAD_DTYPE",
        )
    return array
