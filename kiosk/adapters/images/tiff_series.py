"""The images (series) that a TIFF holds: which there are, and the one that is meant.

tifffile groups pages to series by the metadata of the file. Metadata that mislead are left
aside, and the pages are then grouped by their sizes alone.
"""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Iterator
from functools import partial
from typing import Any, BinaryIO

import tifffile

from kiosk.adapters.images.plain_images import corrupt, series_not_found, truncated, unsupported
from kiosk.adapters.images.tiff_headers import PAGES_PER_PLANE, ome_is_sane, walk_pages
from kiosk.errors import InvalidRequest, KioskError, TooLarge
from kiosk.ports import ImageEntry
from kiosk.settings import LimitSettings

# What tifffile logs about damaged files is said in our errors and notes already.
logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)

# Series that are listed; more are a damaged file or no images of cells.
MAX_ENTRIES = 1000
# Pages that tifffile may compare with each other: a few seconds.
MOST_COMPARED = 4000
_TITLE_CHARACTERS = 200


@contextlib.contextmanager
def damage(file_name: str, what: str) -> Iterator[None]:
    """Turn whatever a library raises into one sentence."""
    try:
        yield
    except KioskError:
        raise
    except NotImplementedError as error:
        message = "uses a rare form of TIFF that is not read; save it without compression."
        raise unsupported(file_name, message) from error
    except MemoryError as error:
        message = f"'{file_name}' does not fit into memory; cut it into smaller images."
        raise TooLarge(message, reason="IMAGE_TOO_LARGE") from error
    except Exception as error:
        raise corrupt(file_name, what) from error


def tiff_entries(
    file: BinaryIO, file_bytes: int, file_name: str, limits: LimitSettings
) -> list[ImageEntry]:
    """The series of a TIFF, at most 1000, as their metadata call them. Raises InvalidRequest."""
    with damage(file_name, "its TIFF headers cannot be read"):
        pages = walk_pages(file, file_bytes, file_name, limits)
        tif = grouped(file, file_name, len(pages), limits, [])
        return [
            ImageEntry(series=index, title=_title(series.name))
            for index, series in enumerate(tif.series[:MAX_ENTRIES])
        ]


def _title(name: Any) -> str:
    return "".join(c for c in str(name or "") if c.isprintable())[:_TITLE_CHARACTERS].strip()


def grouped(
    file: BinaryIO, file_name: str, pages: int, limits: LimitSettings, notes: list[str]
) -> Any:
    """The open TiffFile with its `pages` grouped to series, without metadata that mislead.

    The first series decides whether the metadata are believed, so that the numbers of the
    series are the same whichever is asked for.
    """
    plain = {"is_ome": False, "is_imagej": False, "is_shaped": False}
    cap = limits.planes * PAGES_PER_PLANE
    for flags in ({}, {"is_ome": False}, plain):
        file.seek(0)
        tif: Any = tifffile.TiffFile(file, name="image", _multifile=False, **flags)
        if pages > MOST_COMPARED:
            tif._series_generic = partial(_refuse_to_compare, file_name, pages)
        if tif.is_ome and not ome_is_sane(tif.ome_metadata, cap):
            notes.append("The OME metadata of the file are damaged and were not used.")
            continue
        try:
            series = tif.series[0]
        except KioskError:
            raise
        except Exception:
            if flags is plain:
                raise
            continue
        if flags is not plain and lacks_planes(series):
            notes.append(
                "The metadata describe planes that are not in this file;"
                " only the planes in it are read."
            )
            continue
        break
    if not tif.is_ome and "<OME" in str(tif.pages.first.description)[:4096]:
        notes.append("The OME metadata of the file are damaged and were not used.")
    return tif


def _refuse_to_compare(file_name: str, pages: int) -> Any:
    """In place of what tifffile does where neither metadata nor equal sizes group the pages.

    It reads all tags of every page and compares each page with all others of its kind.
    """
    raise TooLarge(
        f"'{file_name}' has {pages} pages of differing kinds and no metadata that say how they"
        f" belong together, and at most {MOST_COMPARED} such pages are read; save it as OME-TIFF.",
        reason="IMAGE_TOO_LARGE",
    )


def chosen(tif: Any, file_name: str, number: int, notes: list[str]) -> Any:
    """Series `number` of an open TiffFile. Raises InvalidRequest where there is none."""
    count = len(tif.series)
    if number >= count:
        raise series_not_found(file_name, count)
    series = tif.series[number]
    if number and lacks_planes(series):
        raise InvalidRequest(
            f"Image {number} of '{file_name}' has planes that are not in this file; export it to"
            " a file of its own.",
            reason="UNSUPPORTED_FORMAT",
        )
    if tif.is_ome and series.kind != "ome":
        notes.append("The OME metadata do not describe the planes of this file alone.")
    if count > 1 and not number:
        notes.append(
            f"The file has {count} images; this is the first. Choose another by its number"
            f" (series 0 to {count - 1})."
        )
    _check_imagej(tif, series, file_name)
    return series


def lacks_planes(series: Any) -> bool:
    """Whether the metadata promise more planes than the pages or the bytes in a row hold."""
    pages = series._pages
    planes = math.prod(series.shape) // max(math.prod(series.keyframe.shape), 1)
    if None in pages:
        return True
    return len(pages) != planes and (len(pages) > 1 or series.dataoffset is None)


def _check_imagej(tif: Any, series: Any, file_name: str) -> None:
    """Refuse an ImageJ stack that was cut short; tifffile would take its first plane for all.

    ImageJ writes one page and all planes behind it, so only the description tells.
    """
    images = (tif.imagej_metadata or {}).get("images", 1) if tif.is_imagej else 1
    if series.kind != "imagej" and not tif.pages.is_multipage and images > 1:
        raise truncated(file_name, f"not all of its {images} planes are there")
