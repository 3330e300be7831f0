"""PNG and JPEG images, and the checks of size that every image format shares.

Sizes are read from the headers by hand or by Pillow; pixels are unpacked only when a plane is
asked for: PNG by imagecodecs (16 bits stay 16 bits), JPEG by Pillow (which notices a file that
was cut short, where libjpeg alone would fill up with grey).
"""

from __future__ import annotations

import io
import math
import struct
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, BinaryIO

import imagecodecs
import numpy as np
from PIL.JpegImagePlugin import JpegImageFile

from kiosk.adapters.images.raw_windows import Target, read_raw
from kiosk.errors import InvalidRequest, KioskError, TooLarge
from kiosk.ports import Window
from kiosk.reading import ReadOptions
from kiosk.scratch import no_room
from kiosk.settings import LimitSettings

RGB_NAMES = ("red", "green", "blue")
# Hyperspectral cameras have a few hundred channels; more is a damaged header.
MAX_CHANNELS = 1000
# Room for thumbnails, colour profiles and other metadata in a PNG or JPEG.
METADATA_BYTES = 64 * 1024 * 1024
# Most bytes that are unpacked at a time, per pixel of `limits.plane_px`: a plane of three colours
# or of 32-bit values may have as many pixels as that allows, one of 64 bits half as many.
BYTES_PER_PX = 4
# Bytes of pixels per byte of file, counting what a sparse file leaves out. The list of the pieces
# that are left out takes more where they have a usual size (512 x 512: 1 byte for 30,000).
SPARSE_RATIO = 1_000_000
# Larger planes are read in windows, each of which would unpack all of the file.
LARGE_PX = 16_000_000


def check_sizes(
    sizes: Mapping[str, int], file_name: str, limits: LimitSettings, *, in_pieces: bool = False
) -> None:
    """Raise InvalidRequest for an image without pixels and TooLarge for one over the limits.

    Args:
        in_pieces: whether windows of a plane can be read without unpacking all of it.
    """
    y, x = sizes["y"], sizes["x"]
    if min(sizes.values()) < 1:
        raise InvalidRequest(
            f"'{file_name}' has no pixels ({x} x {y}); export it again from the program that"
            " made it.",
            reason="EMPTY_IMAGE",
        )
    limit_px, setting = limits.plane_px, "PLANE_PX"
    if in_pieces:
        limit_px, setting = limits.slide_px, "SLIDE_PX"
    if y * x > limit_px:
        raise TooLarge(
            f"'{file_name}' has planes of {x} x {y} pixels and this kiosk takes at most"
            f" {limit_px} pixels per plane; cut it into smaller images or raise"
            f" KIOSK_LIMITS__{setting}.",
            reason="IMAGE_TOO_LARGE",
        )
    if sizes["t"] * sizes["z"] > limits.planes:
        raise TooLarge(
            f"'{file_name}' has {sizes['t'] * sizes['z']} planes and this kiosk takes at most"
            f" {limits.planes}; split it or raise KIOSK_LIMITS__PLANES.",
            reason="IMAGE_TOO_LARGE",
        )
    if sizes["c"] > MAX_CHANNELS:
        raise TooLarge(
            f"'{file_name}' has {sizes['c']} channels and this kiosk takes at most"
            f" {MAX_CHANNELS}; export only the channels that are needed.",
            reason="IMAGE_TOO_LARGE",
        )


def check_unpack_ratio(
    pixel_bytes: int, file_bytes: int, file_name: str, limits: LimitSettings
) -> None:
    """Raise TooLarge when the pixels take far more bytes than the file: a decompression bomb.

    What is no more than a plane or two harms nobody; drawings and masks can be packed as tight.
    """
    free_bytes = 2 * limits.plane_px
    if pixel_bytes > max(limits.unpack_ratio * file_bytes, free_bytes):
        raise TooLarge(
            f"'{file_name}' would unpack to {pixel_bytes} bytes from a file of {file_bytes} bytes,"
            " which looks like a decompression bomb; save it with less compression if it is a"
            " real image.",
            reason="IMAGE_TOO_LARGE",
        )


def check_sparse(
    sizes: Mapping[str, int], sample_bytes: int, file_bytes: int, file_name: str
) -> None:
    """Raise TooLarge for a huge image of which a tiny file holds next to nothing.

    Pieces that are left out cost time too, and a few bytes can claim as many as they like.
    """
    pixels = math.prod(sizes.values())
    if pixels * sample_bytes > SPARSE_RATIO * max(file_bytes, 1):
        raise TooLarge(
            f"'{file_name}' claims {pixels} pixels and leaves out nearly all of them (the file has"
            f" {file_bytes} bytes); save only the part that holds the image.",
            reason="IMAGE_TOO_LARGE",
        )


def corrupt(file_name: str, what: str) -> InvalidRequest:
    """The error for damaged content; `what` continues the sentence "<file> is damaged: "."""
    return InvalidRequest(
        f"'{file_name}' is damaged: {what}; copy it again from its source or export it again.",
        reason="CORRUPT_IMAGE",
    )


def truncated(file_name: str, what: str) -> InvalidRequest:
    """The error for a file that ends too early; `what` says what is missing."""
    return InvalidRequest(
        f"'{file_name}' is cut short ({what}); copy or upload it again.",
        reason="TRUNCATED_IMAGE",
    )


def unsupported(file_name: str, what: str) -> InvalidRequest:
    """The error for content that is sound but not read here; `what` ends with what to do."""
    return InvalidRequest(f"'{file_name}' {what}", reason="UNSUPPORTED_FORMAT")


class PlainImage:
    """`ports.ImageSource` over a PNG or JPEG: one plane of one or three channels.

    `decode` unpacks the bytes of the file to (y, x) or (y, x, samples); samples beyond the
    channels (alpha) are dropped.
    """

    def __init__(
        self,
        file: BinaryIO,
        file_name: str,
        *,
        shape_yx: tuple[int, int],
        channels: int,
        dtype: np.dtype[Any],
        format_name: str,
        decode: Callable[[bytes], np.ndarray],
        notes: Sequence[str],
    ) -> None:
        y, x = shape_yx
        self.format = format_name
        self.axes = "YX" if channels == 1 else "YXS"
        self.levels: Sequence[tuple[int, int]] = (shape_yx,)
        self.sizes: Mapping[str, int] = {"t": 1, "c": channels, "z": 1, "y": y, "x": x}
        self.dtype = dtype
        self.is_rgb = channels == 3
        self.channel_names: Sequence[str] = RGB_NAMES if self.is_rgb else ("channel 0",)
        self.pixel_size_um: tuple[float, float] | None = None
        self.z_step_um: float | None = None
        self.frame_interval_s: float | None = None
        self.notes: Sequence[str] = tuple(notes)
        self._file = file
        self._file_name = file_name
        self._decode = decode
        self._lock = threading.Lock()
        self._unpacked: BinaryIO | None = None

    def plane(
        self,
        t: int,
        z: int,
        channels: Sequence[int],
        window: Window | None = None,
        level: int = 0,
    ) -> np.ndarray:
        """(len(channels), y, x) pixels. Raises InvalidRequest when the pixels are damaged.

        The whole plane has to be unpacked, whatever the window. A large one is unpacked once, to
        a temporary file.
        """
        if (t, z, level) != (0, 0, 0) or any(not 0 <= c < self.sizes["c"] for c in channels):
            raise out_of_range(self._file_name, t, z, channels, level)
        rows, columns = cut_to(window, self.levels[0])
        with self._lock:
            if self.levels[0][0] * self.levels[0][1] > LARGE_PX:
                return self._from_file(channels, rows, columns)
            pixels = self._pixels()
        return np.ascontiguousarray(np.moveaxis(pixels[rows, columns, list(channels)], -1, 0))

    def _from_file(self, channels: Sequence[int], rows: slice, columns: slice) -> np.ndarray:
        if self._unpacked is None:
            self._unpacked = _on_disk(self._pixels())
        shape = (len(channels), rows.stop - rows.start, columns.stop - columns.start)
        result = np.empty(shape, self.dtype)
        pixel = self.sizes["c"] * self.dtype.itemsize
        row = self.sizes["x"] * pixel
        targets = [
            Target(channel * self.dtype.itemsize, out)
            for channel, out in zip(channels, result, strict=True)
        ]
        if result.size:
            start = rows.start * row + columns.start * pixel
            read_raw(self._unpacked, start, self.dtype, (row, pixel), targets)
        return result

    def _pixels(self) -> np.ndarray:
        """(y, x, channel), all of them."""
        self._file.seek(0)
        data = self._file.read()
        try:
            pixels = self._decode(data)
        except KioskError:
            raise
        except Exception as error:  # the decoders raise many kinds on damaged bytes
            raise corrupt(self._file_name, "its pixels cannot be unpacked") from error
        expected = self.levels[0]
        if pixels.shape[:2] != expected or pixels.dtype != self.dtype:
            raise corrupt(self._file_name, "its pixels do not fit its header")
        if pixels.ndim == 2:
            pixels = pixels[..., np.newaxis]
        return pixels[..., : self.sizes["c"]]

    def close(self) -> None:
        """Close the file too."""
        if self._unpacked is not None:
            self._unpacked.close()
        self._file.close()


def _on_disk(pixels: np.ndarray) -> BinaryIO:
    """Their bytes, row after row, in a file without a name."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 (it is handed on)
    try:
        for row in pixels:
            file.write(row.tobytes())
        file.flush()
    except OSError as error:
        file.close()
        raise no_room(error, "There is no room on the disk for a copy of the image.") from error
    return file


def series_not_found(file_name: str, count: int) -> InvalidRequest:
    """The error for the number of an image that a file with `count` images does not have."""
    holds = "one image (series 0)" if count == 1 else f"{count} images (series 0 to {count - 1})"
    return InvalidRequest(
        f"'{file_name}' holds {holds}; choose one of them.",
        reason="SERIES_NOT_FOUND",
        field="series",
    )


def axes_do_not_fit(
    file_name: str, given: str, shape: Sequence[int], axes: str = ""
) -> InvalidRequest:
    """The error for axes that a caller gives and the file does not have.

    Args:
        shape: lengths of the axes of the file, slowest first.
        axes: how the file is read without.
    """
    long = [length for length in shape if length > 1]
    has = f"{len(long)} axes longer than 1: {' x '.join(map(str, long))}"
    has += f" (read as {axes} by itself)" if axes else ""
    return InvalidRequest(
        f"The axes '{given}' do not fit '{file_name}', which has {has}; name each of them once, in"
        " this order, with Y and X for the pixels of a plane.",
        reason="AXES_DO_NOT_FIT",
        field="axes",
    )


def cut_to(window: Window | None, size_yx: tuple[int, int]) -> Window:
    """A window that lies within a plane, as slices with start and stop; None = all of it."""
    if window is None:
        window = (slice(0, size_yx[0]), slice(0, size_yx[1]))
    ranges = [part.indices(size) for part, size in zip(window, size_yx, strict=True)]
    rows, columns = (slice(start, max(start, stop)) for start, stop, _ in ranges)
    return rows, columns


def out_of_range(
    file_name: str, t: int, z: int, channels: Sequence[int], level: int = 0
) -> InvalidRequest:
    """The error for a plane, channel or resolution that the image does not have."""
    where = f"t={t}, z={z}" + (f", level {level}," if level else "")
    return InvalidRequest(
        f"'{file_name}' has no plane {where} with channels {list(channels)}; ask only for"
        " planes and channels within its size.",
        reason="OUT_OF_RANGE",
    )


def open_png(
    file: BinaryIO, file_bytes: int, file_name: str, limits: LimitSettings, options: ReadOptions
) -> PlainImage:
    """Open a PNG: 1- to 8-bit as uint8, 16-bit as uint16, palettes expanded, alpha dropped.

    Raises InvalidRequest or TooLarge.
    """
    if options.series:
        raise series_not_found(file_name, 1)
    file.seek(0)
    head = file.read(33)
    if len(head) < 33:
        raise truncated(file_name, "its header is incomplete")
    kind, x, y, depth, colour = struct.unpack(">4sIIBB", head[12:26])
    # Bit depths that the PNG specification allows per colour type (section 11.2.1).
    depths = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
    if kind != b"IHDR" or depth not in depths.get(colour, ()):
        raise corrupt(file_name, "its header is not valid")
    grey_palette, transparent = _png_palette(file, file_bytes)
    grey = colour in (0, 4) or (colour == 3 and grey_palette)
    notes = []
    if colour in (4, 6) or transparent:
        notes.append("The alpha channel of the image is left out.")
    if colour == 3 and not grey:
        notes.append("The colour palette of the image is expanded to red, green and blue.")
    channels = 1 if grey else 3
    dtype = np.dtype(np.uint16 if depth == 16 else np.uint8)
    sizes = {"t": 1, "c": channels, "z": 1, "y": y, "x": x}
    _check_plain(sizes, dtype.itemsize, file_bytes, file_name, limits)
    return PlainImage(
        file,
        file_name,
        shape_yx=(y, x),
        channels=channels,
        dtype=dtype,
        format_name="PNG",
        decode=imagecodecs.png_decode,
        notes=notes,
    )


def _png_palette(file: BinaryIO, file_bytes: int) -> tuple[bool, bool]:
    """Whether the palette is all grey and whether pixels can be transparent.

    Reads the chunks that stand before the pixels. Masks are often saved with a palette of
    greys, which is one channel and no colour image.
    """
    grey = transparent = False
    position = 8
    for _ in range(1000):  # a sound file has a handful of chunks before its pixels
        file.seek(position)
        head = file.read(8)
        if len(head) < 8 or head[4:] in (b"IDAT", b"IEND"):
            break
        length = int.from_bytes(head[:4], "big")
        if head[4:] == b"PLTE" and length <= 768 and length % 3 == 0:
            palette = np.frombuffer(file.read(length), np.uint8)
            if palette.size == length:
                triples = palette.reshape(-1, 3)
                grey = bool((triples == triples[:, :1]).all())
        transparent = transparent or head[4:] == b"tRNS"
        position += 12 + length
        if position >= file_bytes:
            break
    return grey, transparent


def open_jpeg(
    file: BinaryIO, file_bytes: int, file_name: str, limits: LimitSettings, options: ReadOptions
) -> PlainImage:
    """Open a JPEG of 8-bit grey or colour as uint8; the EXIF orientation is not applied.

    Raises InvalidRequest or TooLarge.
    """
    if options.series:
        raise series_not_found(file_name, 1)
    file.seek(0)
    try:
        # Not Image.open: its own bomb check would warn before our limits are looked at.
        header = JpegImageFile(file)
        (x, y), mode = header.size, header.mode
    except KioskError:
        raise
    except Exception as error:
        raise corrupt(file_name, "its JPEG header cannot be read") from error
    if mode not in ("L", "RGB"):
        raise unsupported(file_name, f"is a JPEG in {mode} colours; save it as RGB or grey.")
    channels = 3 if mode == "RGB" else 1
    sizes = {"t": 1, "c": channels, "z": 1, "y": y, "x": x}
    _check_plain(sizes, 1, file_bytes, file_name, limits)

    def decode(data: bytes) -> np.ndarray:
        try:
            return np.asarray(JpegImageFile(io.BytesIO(data)))
        except OSError as error:
            if "truncated" in str(error).lower():
                raise truncated(file_name, "its last rows are missing") from error
            raise

    return PlainImage(
        file,
        file_name,
        shape_yx=(y, x),
        channels=channels,
        dtype=np.dtype(np.uint8),
        format_name="JPEG",
        decode=decode,
        notes=["JPEG compression changes the intensities of the image slightly."],
    )


def _check_plain(
    sizes: Mapping[str, int], sample_bytes: int, file_bytes: int, name: str, limits: LimitSettings
) -> None:
    """The shared checks, and one against small images in huge files, which are read whole."""
    check_sizes(sizes, name, limits)
    pixel_bytes = sizes["y"] * sizes["x"] * sizes["c"] * sample_bytes
    check_unpack_ratio(pixel_bytes, file_bytes, name, limits)
    if pixel_bytes > BYTES_PER_PX * limits.plane_px:
        raise TooLarge(
            f"'{name}' unpacks to {pixel_bytes} bytes at once and this kiosk takes at most"
            f" {BYTES_PER_PX * limits.plane_px}; save it as a TIFF with tiles of 512 x 512 or raise"
            " KIOSK_LIMITS__PLANE_PX.",
            reason="IMAGE_TOO_LARGE",
        )
    if file_bytes > 2 * pixel_bytes + METADATA_BYTES:
        raise corrupt(name, "it is far larger than its pixels")
