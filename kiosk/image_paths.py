"""Which files, folders and addresses are images, and what their results are called.

Light on imports, because the commands use it before they know whether there is anything to do.
"""

from __future__ import annotations

import os
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from kiosk.errors import InvalidRequest
from kiosk.folder_zip import is_junk, is_ome_zarr, natural_key
from kiosk.jobs import result_stem
from kiosk.linked import name_in

IMAGE_SUFFIXES = {".tif", ".tiff", ".png", ".jpg", ".jpeg", ".npy", ".svs", ".ndpi", ".stk"}
IMAGE_SUFFIXES |= {".lsm", ".czi", ".nd2", ".lif", ".btf", ".tf8", ".tf2"}
ZIP_SUFFIXES = {".zip", ".ozx"}
ZARR_SUFFIX = ".zarr"


def is_address(name: str) -> bool:
    """Whether a name is an address like s3://bucket/key and no path."""
    return "://" in name


def is_zip(path: str | Path) -> bool:
    return Path(path).suffix.lower() in ZIP_SUFFIXES


def is_image(path: Path) -> bool:
    """Whether a file or folder looks like an image or a zip of images, by its name."""
    if path.name.startswith("."):
        return False
    suffix = path.suffix.lower()
    return is_image_folder(path) if path.is_dir() else suffix in IMAGE_SUFFIXES | ZIP_SUFFIXES


def is_image_folder(path: Path) -> bool:
    return path.is_dir() and (path.suffix.lower() == ZARR_SUFFIX or is_ome_zarr(path))


def stem_of(name: str) -> str:
    """First part of the names of the results of a file, folder or address."""
    return result_stem(name_in(name) if is_address(name) else name.rstrip("/"))


def member_stems(members: Sequence[str]) -> dict[str, str]:
    """First part of the names of the results of every member of a zip, no two alike.

    It is the member's own name, or the one with its folders where several have the same name.
    """
    names = [result_stem(member) for member in members]
    counts, last = Counter(names), Counter[str]()
    taken: set[str] = set()  # in small letters: some file systems do not tell A from a
    stems: dict[str, str] = {}
    for member, name in zip(members, names, strict=True):
        stem = name if counts[name] == 1 else result_stem(member.replace("/", "_"))
        # a.tif beside a.png, or a/b.tif beside a_b.tif.
        wanted = stem
        while stem.casefold() in taken:
            last[wanted] += 1
            stem = f"{wanted}_{last[wanted] + 1}"
        taken.add(stem.casefold())
        stems[member] = stem
    return stems


def image_stems(images: Sequence[tuple[str, int]], stem: str) -> list[str]:
    """First part of the names of the results of every (member, series) of a file, no two alike.

    `stem` stands for what is no member of a zip.
    """
    counts = Counter(member for member, _ in images)
    stems = {**member_stems([member for member in counts if member]), "": stem}
    return [
        stems[member] if counts[member] == 1 else f"{stems[member]}_series{series}"
        for member, series in images
    ]


def find_images(names: Sequence[str | Path]) -> list[str]:
    """The files and addresses named, and the images in the folders named, in natural order.

    What is named twice is there once.

    Raises:
        InvalidRequest: a path does not exist or a folder holds no image.
    """
    found: dict[str, str] = {}
    for name in names:
        for item in _images_of(str(name)):
            found.setdefault(_place(item), item)
    return list(found.values())


def check_stems(names: Sequence[str]) -> None:
    """Raise InvalidRequest when two of the images would write results of the same name."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(stem_of(name), name)
        if other is not name:
            raise InvalidRequest(
                f"'{other}' and '{name}' would both write {stem_of(name)}_labels.tif. Run them"
                " with different --out folders."
            )


def has_results(name: str, out: Path) -> bool:
    """Whether the results of a file, or of all images in a zip, are in a folder already."""
    if _is_done(stem_of(name), out):
        return True
    if not is_zip(name):
        return False
    try:
        with zipfile.ZipFile(name) as archive:
            members = [item for item in archive.namelist() if _is_member(Path(item))]
    except (OSError, zipfile.BadZipFile, NotImplementedError):
        return False
    return bool(members) and all(_is_done(stem, out) for stem in member_stems(members).values())


def _place(name: str) -> str:
    return name.rstrip("/") if is_address(name) else os.path.abspath(name)


def _is_done(stem: str, out: Path) -> bool:
    return (out / f"{stem}_run.json").exists()


def _is_member(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not any(map(is_junk, path.parts))


def _images_of(name: str) -> Iterator[str]:
    path = Path(name)
    if is_address(name) or is_image_folder(path):
        yield name
    elif path.is_dir():
        images = sorted(filter(is_image, path.iterdir()), key=lambda p: natural_key(p.name))
        if not images:
            raise InvalidRequest(
                f"There is no image in '{path}' (TIFF, PNG, JPEG, OME-Zarr, zip, ...)."
            )
        yield from map(str, images)
    elif path.exists():
        yield name
    else:
        raise InvalidRequest(f"The file '{path}' does not exist.")
