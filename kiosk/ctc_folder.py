"""The zip with masks of the Cell Tracking Challenge, unpacked to the folder that programs want."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path, PureWindowsPath

ENDING = "_RES.zip"


def is_ctc_zip(path: Path) -> bool:
    return path.name.endswith(ENDING)


def folder_of(path: Path) -> Path:
    """Where the zip NAME_RES.zip is unpacked to: NAME_RES beside it."""
    return path.with_suffix("")


def unpack(path: Path) -> Path:
    """Unpack NAME_RES.zip to the folder NAME_RES, which is made anew, and delete the zip."""
    folder = folder_of(path)
    partial = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    with zipfile.ZipFile(path) as archive:
        for item in archive.infolist():
            # Only names, without folders and drives of any system: whatever the kiosk sends,
            # nothing is written outside of the folder.
            name = PureWindowsPath(item.filename).name
            if name not in ("", "..") and not item.is_dir():
                with archive.open(item) as source, (partial / name).open("wb") as target:
                    shutil.copyfileobj(source, target)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    path.unlink()
    return folder
