"""The same in one process, led by coverage: inputs that reach new code are varied further.

    pip install atheris
    python tests/fuzz/coverage_guided.py -max_total_time=300

takes libFuzzer's options. Finds errors of our own code that are no sentence; a crash of a library
ends it, with the input in a file. Names and options of reading are made from the input too.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["kiosk.adapters", "kiosk.inspection", "tifffile"]):
    from kiosk.adapters.image_files import ImageFileReader
    from kiosk.adapters.images import zarr_arrays  # noqa: F401 (loaded late, but watched)
    from kiosk.inspection import inspect_file

from kiosk.errors import InvalidRequest
from kiosk.reading import ReadOptions
from kiosk.settings import LimitSettings

sys.path.insert(0, str(Path(__file__).parent))
from seeds import seeds

FILES = ImageFileReader(LimitSettings(plane_px=4_000_000, slide_px=16_000_000, planes=2_000))


def inspect(data: bytes) -> None:
    """Raises what is not a sentence."""
    try:
        inspect_file(
            FILES, lambda: io.BytesIO(data), "a.tif", ReadOptions(), thumbnail_px=16, patience_s=2.0
        )
    except InvalidRequest:
        return


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="kiosk-corpus-") as folder:
        for name, data in seeds().items():
            (Path(folder) / name).write_bytes(data)
        options = ["-rss_limit_mb=4096", "-timeout=20", "-max_len=20000", *sys.argv[1:]]
        atheris.Setup([sys.argv[0], *options, folder], inspect)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
