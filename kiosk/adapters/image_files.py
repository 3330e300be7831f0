"""Opens image files by their content: TIFF in its many forms, PNG, JPEG, NumPy, OME-Zarr, zip.

The name of a file is used in messages only. Whatever is wrong with a file, the answer is an
InvalidRequest (or TooLarge) with one plain sentence; the errors of the libraries stay inside.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable
from typing import Any, BinaryIO, cast

from kiosk.adapters.images.bioio_images import LIF as LIF_PLUGIN
from kiosk.adapters.images.bioio_images import ND2 as ND2_PLUGIN
from kiosk.adapters.images.bioio_images import bioio_entries, open_lif, open_nd2
from kiosk.adapters.images.czi_images import czi_entries, open_czi
from kiosk.adapters.images.npy_arrays import NPY_MAGIC, is_npz, open_npy, refuse_npz
from kiosk.adapters.images.plain_images import open_jpeg, open_png, unsupported
from kiosk.adapters.images.reinterpreted import as_asked
from kiosk.adapters.images.signatures import (
    CZI,
    HEAD_BYTES,
    JPEG_2000,
    LIF,
    ND2,
    REFUSED,
    TIFF,
    UNPACK,
    ZIP,
)
from kiosk.adapters.images.tiff_images import open_tiff
from kiosk.adapters.images.tiff_series import tiff_entries
from kiosk.adapters.images.url_files import open_url_file
from kiosk.adapters.images.zarr_images import open_zarr, zarr_entries
from kiosk.adapters.images.zarr_keys import UrlKeys, ZipKeys, is_zarr
from kiosk.adapters.images.zip_archive import ZipArchive
from kiosk.errors import InvalidRequest, KioskError, NotFound, TransientError
from kiosk.ports import File, ImageEntry, ImageSource
from kiosk.reading import ReadOptions
from kiosk.settings import LimitSettings

_Open = Callable[[BinaryIO, int, str, LimitSettings, ReadOptions], ImageSource]


class ImageFileReader:
    """`ports.ImageFiles` for TIFF of all kinds, PNG, JPEG, .npy, OME-Zarr and zip."""

    def __init__(self, limits: LimitSettings) -> None:
        self._limits = limits

    def entries(self, file: File, file_name: str) -> list[ImageEntry]:
        """The images in a file. Raises as `open` does."""
        if isinstance(file, str):
            return self._url_entries(file, file_name)
        watched, head = _watched(file, file_name)
        if not _is_archive(head):
            return self._series(watched, head, file_name)
        archive = self._archive(watched, file_name)
        folders, names = archive.zarr_folders(), archive.image_names()
        if len(folders) == 1 and not names:
            return zarr_entries(ZipKeys(archive, folders[0]), self._limits)
        found = [
            entry
            for folder in folders
            for entry in zarr_entries(ZipKeys(archive, folder), self._limits, folder)
        ]
        found += [ImageEntry(member=name, title=name) for name in names]
        if not found:
            raise _no_images(file_name)
        return found

    def open(self, file: File, file_name: str, options: ReadOptions = ReadOptions()) -> ImageSource:
        """Read the headers of an image; the source returned owns `file` from then on.

        `file` is any seekable binary file, on disk or over an object store, or the address of a
        file or of an OME-Zarr folder; when it is refused it is left open. Raises InvalidRequest
        or TooLarge with a plain sentence, and TransientError when the store behind it fails.
        """
        if isinstance(file, str):
            return self._open_url(file, file_name, options)
        watched, head = _watched(file, file_name)
        if _is_archive(head):
            source = self._open_in_archive(watched, file_name, options)
            return as_asked(source, file_name, options)
        if options.member:
            raise NotFound(
                f"'{file_name}' is not a zip archive, so there is no member"
                f" '{options.member[:120]}' in it; leave the member out.",
                reason="MEMBER_NOT_FOUND",
                field="member",
            )
        source = self._open_plain(watched, head, file_name, options)
        return as_asked(source, file_name, options)

    def _open_url(self, url: str, file_name: str, options: ReadOptions) -> ImageSource:
        """Open what lies at an address, with the rights of this process."""
        keys = UrlKeys(url)
        if is_zarr(keys):
            image = open_zarr(keys, options.series, self._limits, keys.close)
            return as_asked(image, file_name, options)
        with contextlib.ExitStack() as on_error:
            file = on_error.enter_context(open_url_file(url))
            source = self.open(file, file_name, options)
            on_error.pop_all()
        return source

    def _url_entries(self, url: str, file_name: str) -> list[ImageEntry]:
        keys = UrlKeys(url)
        if is_zarr(keys):
            return zarr_entries(keys, self._limits)
        with open_url_file(url) as file:
            return self.entries(file, file_name)

    def _open_plain(
        self, file: _WatchedFile, head: bytes, name: str, options: ReadOptions
    ) -> ImageSource:
        opener = _opener(head)
        if opener is None:
            raise _refusal(head, name)
        return opener(cast(BinaryIO, file), file.size_bytes, name, self._limits, options)

    def _series(self, file: _WatchedFile, head: bytes, name: str) -> list[ImageEntry]:
        """The images of a file that is no archive."""
        whole, size = cast(BinaryIO, file), file.size_bytes
        if head.startswith(TIFF):
            return tiff_entries(whole, size, name, self._limits)
        if head.startswith(CZI):
            return czi_entries(whole, size, name, self._limits)
        if head.startswith((ND2, JPEG_2000)):
            return bioio_entries(ND2_PLUGIN, whole, size, name)
        if head.startswith(LIF):
            return bioio_entries(LIF_PLUGIN, whole, size, name)
        if _opener(head) is None:
            raise _refusal(head, name)
        return [ImageEntry()]

    def _archive(self, file: _WatchedFile, file_name: str) -> ZipArchive:
        return ZipArchive(cast(BinaryIO, file), file.size_bytes, file_name, self._limits)

    def _open_in_archive(
        self, file: _WatchedFile, file_name: str, options: ReadOptions
    ) -> ImageSource:
        archive = self._archive(file, file_name)
        folders, member = archive.zarr_folders(), options.member.strip("/")
        if not options.member:
            names = [*folders, *archive.image_names()]
            if not names:
                raise _no_images(file_name)
            if len(names) > 1:
                raise InvalidRequest(
                    f"'{file_name}' holds {len(names)} images; say which one is meant by its name"
                    f" in the archive, for example member '{names[0][:120]}'.",
                    reason="MEMBER_NEEDED",
                    field="member",
                )
            member = names[0]
        if member in folders:
            return open_zarr(ZipKeys(archive, member), options.series, self._limits, file.close)
        return self._open_member(file, archive, options.member or member, options)

    def _open_member(
        self, file: _WatchedFile, archive: ZipArchive, member: str, options: ReadOptions
    ) -> ImageSource:
        name = archive.title(member)
        with contextlib.ExitStack() as stack:
            inner, head = _watched(stack.enter_context(archive.open(member)), name)
            if head.startswith(ZIP):
                raise unsupported(name, f"is a zip archive within a zip archive; {UNPACK}")
            inner.owner = file
            source = self._open_plain(inner, head, name, options)
            stack.pop_all()  # the source closes it from now on
        return source


def _watched(file: BinaryIO, file_name: str) -> tuple[_WatchedFile, bytes]:
    """The file with its failures told apart, and its first bytes. Raises when it is empty."""
    watched = _WatchedFile(file)
    if watched.size_bytes == 0:
        raise InvalidRequest(
            f"'{file_name}' is empty (0 bytes); copy or upload it again.", reason="EMPTY_FILE"
        )
    return watched, watched.read(HEAD_BYTES)


def _is_archive(head: bytes) -> bool:
    """A zip of files; NumPy's .npz is a zip too, and refused by name."""
    return head.startswith(ZIP) and not is_npz(head)


def _no_images(file_name: str) -> InvalidRequest:
    return unsupported(
        file_name, "is a zip archive without images; zip TIFF, PNG or JPEG images or an OME-Zarr."
    )


def _opener(head: bytes) -> _Open | None:
    if head.startswith(TIFF):
        return open_tiff
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return open_png
    if head.startswith(b"\xff\xd8\xff"):
        return open_jpeg
    if head.startswith(NPY_MAGIC):
        return open_npy
    if is_npz(head):
        return refuse_npz
    if head.startswith(CZI):
        return open_czi
    if head.startswith((ND2, JPEG_2000)):
        return open_nd2
    if head.startswith(LIF):
        return open_lif
    return None


def _refusal(head: bytes, file_name: str) -> InvalidRequest:
    """The error for a file that is none of the formats read here."""
    for magic, sentence in REFUSED:
        if head.startswith(magic):
            return unsupported(file_name, sentence)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return unsupported(file_name, "is a WebP image; save it as PNG or TIFF.")
    if head[4:8] == b"ftyp":
        return unsupported(file_name, "is a video or HEIF image; save it as TIFF or PNG.")
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith(b"version https://git-lfs"):
        what = "is a Git LFS pointer and not the image itself; fetch it with 'git lfs pull'."
    elif text[:9].lower() == b"<!doctype" or text[:5].lower() == b"<html":
        what = "is a web page and no image; the download has probably failed, so try it again."
    elif text.startswith(b"<?xml") or text.startswith(b"<OME"):
        what = "is an XML file without pixels; give the image files themselves."
    elif head and all(byte in b"\t\r\n\f" or 32 <= byte < 127 for byte in head):
        what = "is a text file and no image; give a TIFF, PNG or JPEG image."
    elif not any(head):
        what = "holds only zeros and no image; copy or upload it again."
    else:
        what = "is not an image that is read here; give a TIFF, PNG or JPEG image."
    return InvalidRequest(f"'{file_name}' {what}", reason="NOT_AN_IMAGE")


def _own_path(file: BinaryIO, size_bytes: int) -> str:
    """Where a file lies on this machine; "" when it does not."""
    name = getattr(file, "name", "")
    try:
        same = isinstance(name, str) and os.path.getsize(name) == size_bytes
    except OSError:
        return ""
    return name if same else ""


class _WatchedFile:
    """A binary file whose read failures are told apart from damaged content.

    The image libraries raise all kinds of errors on hostile bytes, and those are answered with
    "the file is damaged". A bucket that does not answer must not look like that, so failures
    of the file below become TransientError. Reads are also kept within the file, because a
    damaged header can ask for terabytes and some files allocate what they are asked for.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.name = ""  # tifffile looks for neighbours of a named file
        self.owner: _WatchedFile | None = None  # closed together with this one
        self.size_bytes = int(self._call(file.seek, 0, io.SEEK_END))
        self.path = _own_path(file, self.size_bytes)
        self._position = 0
        self._call(file.seek, 0)

    def _call(self, method: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return method(*arguments)
        except KioskError:
            raise
        except Exception as error:
            raise TransientError("The stored image could not be read.") from error

    def read(self, size: int | None = -1) -> bytes:
        left = max(self.size_bytes - self._position, 0)
        wanted = left if size is None or size < 0 else min(size, left)
        chunks = []
        while wanted:  # a raw file may give less than was asked for
            chunk = self._call(self._file.read, wanted)
            if not chunk:
                break
            chunks.append(bytes(chunk))
            self._position += len(chunk)
            wanted -= len(chunk)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size_bytes}[whence]
        target = base + int(offset)
        if target < 0:
            raise ValueError(f"seek to {target}")
        # Beyond the end nothing can be read; offsets over 2**63 would not reach the file at all.
        self._position = min(target, self.size_bytes)
        self._call(self._file.seek, self._position)
        return self._position

    def tell(self) -> int:
        return self._position

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    @property
    def closed(self) -> bool:
        return bool(self._file.closed)

    def flush(self) -> None:
        """Nothing is ever written."""

    def close(self) -> None:
        self._file.close()
        if self.owner is not None:
            self.owner.close()
