"""Where the images are in an OME-Zarr: a single image, a series of them, a plate, a collection.

Layouts: OME-Zarr 0.4 and 0.5 (ngff.openmicroscopy.org): multiscales, bioformats2raw.layout, plate
and well; and hierarchies without them whose images are in a folder `images`, as SpatialData has.
Groups of labels are not listed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from kiosk.adapters.images.plain_images import corrupt
from kiosk.adapters.images.zarr_documents import read_json
from kiosk.adapters.images.zarr_keys import ZarrKeys
from kiosk.errors import InvalidRequest, TooLarge
from kiosk.folder_zip import natural_key
from kiosk.settings import LimitSettings

# Wells are documents of their own; a bucket answers several at a time.
_THREADS = 16


@dataclass(frozen=True)
class ZarrEntry:
    """One image: the group it lies in, which of its multiscales it is, and those metadata.

    Attributes:
        path: group, "" = the top.
        multiscale: the metadata of the levels.
        omero: metadata of channels, or {}.
        version: of OME-Zarr, as written; may be "".
    """

    path: str
    multiscale: Mapping[str, Any]
    omero: Mapping[str, Any]
    version: str


def find_images(keys: ZarrKeys, limits: LimitSettings) -> list[ZarrEntry]:
    """All images, in the order of the hierarchy.

    Raises InvalidRequest when there is none, and TooLarge when there are more than
    `limits.zip_members`.
    """
    top = _ome(keys, "")
    if top is None:
        raise InvalidRequest(
            f"'{keys.name}' has no OME-Zarr metadata at its top; give the folder that holds the"
            " file .zattrs or zarr.json with 'multiscales'.",
            reason="NOT_AN_IMAGE",
        )
    found = _images(keys, "", top)
    if not found:
        paths = _paths(keys, top, limits)
        if len(paths) > limits.zip_members:
            raise _too_many(keys.name, limits)
        groups = _groups(keys, paths)
        found = [
            image
            for path, group in zip(paths, groups, strict=True)
            if group is not None
            for image in _images(keys, path, group)
        ]
    if len(found) > limits.zip_members:
        raise _too_many(keys.name, limits)
    if not found:
        raise InvalidRequest(
            f"'{keys.name}' is a Zarr hierarchy without OME-Zarr images; save the image as"
            " OME-Zarr 0.4 or 0.5.",
            reason="NOT_AN_IMAGE",
        )
    return found


def checked_path(path: Any, name: str) -> str:
    """A path from metadata, as a key. Raises InvalidRequest when it leads elsewhere."""
    text = path.strip("/") if isinstance(path, str) else ""
    steps = text.split("/")
    if not text or len(text) > 1000 or "\\" in text or any(s in ("", ".", "..") for s in steps):
        raise corrupt(name, "its metadata name paths that make no sense")
    return text


def _ome(keys: ZarrKeys, path: str) -> Mapping[str, Any] | None:
    """The OME metadata of a group; {} where it has none, None where there is no group."""
    prefix = path + "/" if path else ""
    if (found := read_json(keys, prefix + "zarr.json")) is not None:
        if found.get("node_type") == "array":
            return None
        attributes = found.get("attributes")
        attributes = attributes if isinstance(attributes, dict) else {}
        ome = attributes.get("ome", attributes)
        return ome if isinstance(ome, dict) else {}
    if (found := read_json(keys, prefix + ".zattrs")) is not None:
        return found
    return None if read_json(keys, prefix + ".zgroup") is None else {}


def _groups(keys: ZarrKeys, paths: Sequence[str]) -> list[Mapping[str, Any] | None]:
    if len(paths) < 2:
        return [_ome(keys, path) for path in paths]
    with ThreadPoolExecutor(min(_THREADS, len(paths))) as pool:
        return list(pool.map(lambda path: _ome(keys, path), paths))


def _images(keys: ZarrKeys, path: str, ome: Mapping[str, Any]) -> list[ZarrEntry]:
    multiscales = ome.get("multiscales")
    if not isinstance(multiscales, list):
        return []
    omero = ome.get("omero")
    return [
        ZarrEntry(
            path,
            item,
            omero if isinstance(omero, dict) else {},
            str(ome.get("version") or item.get("version") or "")[:40],
        )
        for item in multiscales[:100]
        if isinstance(item, dict)
    ]


def _paths(keys: ZarrKeys, top: Mapping[str, Any], limits: LimitSettings) -> list[str]:
    """Groups that may hold images, below a top without an image of its own."""
    if isinstance(plate := top.get("plate"), dict):
        wells = [checked_path(item.get("path"), keys.name) for item in _items(plate, "wells")]
        if len(wells) > limits.zip_members:
            raise _too_many(keys.name, limits)
        groups = zip(wells, _groups(keys, wells), strict=True)
        return [path for well, group in groups for path in _fields(keys, well, group or {})]
    if "well" in top:
        return _fields(keys, "", top)
    if "bioformats2raw.layout" in top:
        return _series(keys, limits)
    below = [f"images/{child}" for child in sorted(keys.children("images"), key=natural_key)]
    below += sorted((child for child in keys.children("") if child != "labels"), key=natural_key)
    return below


def _items(metadata: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    items = metadata.get(name)
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _fields(keys: ZarrKeys, path: str, group: Mapping[str, Any]) -> list[str]:
    well = group.get("well")
    images = _items(well, "images") if isinstance(well, dict) else []
    names = (checked_path(item.get("path"), keys.name) for item in images)
    return [f"{path}/{name}" if path else name for name in names]


def _series(keys: ZarrKeys, limits: LimitSettings) -> list[str]:
    """Groups of the bioformats2raw layout: as listed in OME, else 0, 1, 2 and so on."""
    listed = (_ome(keys, "OME") or {}).get("series")
    if isinstance(listed, list):
        return [checked_path(path, keys.name) for path in listed]
    found: list[str] = []
    while len(found) <= limits.zip_members and _ome(keys, str(len(found))) is not None:
        found.append(str(len(found)))
    return found


def _too_many(name: str, limits: LimitSettings) -> TooLarge:
    return TooLarge(
        f"'{name}' has more than {limits.zip_members} images; split it or raise"
        " KIOSK_LIMITS__ZIP_MEMBERS.",
        reason="TOO_MANY_MEMBERS",
    )
