"""An array that waits in a temporary file, because it is too large to be kept in memory."""

from __future__ import annotations

import mmap
import tempfile

import numpy as np

from kiosk.scratch import no_room

WRITE_BYTES = 2**24


class DiskArray:
    """An array in a temporary file without a name, which goes with the last reader.

    Raises:
        TransientError: there is no room for it.
    """

    def __init__(self, values: np.ndarray) -> None:
        self.nbytes = values.nbytes
        flat = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
        try:
            with tempfile.TemporaryFile() as file:
                for first in range(0, flat.size, WRITE_BYTES):
                    file.write(flat[first : first + WRITE_BYTES].data)
                file.flush()
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            raise no_room(
                error,
                "There is no room for temporary files, which this image needs; make room or choose"
                " another folder with KIOSK_SCRATCH_DIR.",
            ) from error
        self._values = np.frombuffer(self._map, values.dtype).reshape(values.shape)

    def values(self) -> np.ndarray:
        """The array, read-only. What was read of it before no longer counts as memory."""
        self._map.madvise(mmap.MADV_DONTNEED)
        return self._values
