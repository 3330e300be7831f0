"""The bytes at the start of files, by which their formats are told."""

from __future__ import annotations

HEAD_BYTES = 512

EXPORT = "export it as OME-TIFF (for example with Fiji or bfconvert)."
UNPACK = "unpack it and give the images inside."
# Bytes at the start of formats that people may well try, and what to do about each.
REFUSED: tuple[tuple[bytes, str], ...] = (
    (b"\x1f\x8b", f"is a gzip archive; {UNPACK}"),
    (b"7z\xbc\xaf\x27\x1c", f"is a 7-Zip archive; {UNPACK}"),
    (b"Rar!", f"is a RAR archive; {UNPACK}"),
    (b"BZh", f"is a bzip2 archive; {UNPACK}"),
    (b"\xfd7zXZ", f"is an xz archive; {UNPACK}"),
    (b"\xffO\xffQ", f"is a JPEG 2000 image, which is not read; {EXPORT}"),
    (b"\x89HDF\r\n\x1a\n", f"is an HDF5 (or Imaris) file, which is not read yet; {EXPORT}"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", f"is an OIB, ZVI or Office file; {EXPORT}"),
    (b"%PDF", "is a PDF document; export the image in it as TIFF or PNG."),
    (b"GIF8", "is a GIF image, which is not read; save it as PNG or TIFF."),
    (b"BM", "is a BMP image, which is not read; save it as PNG or TIFF."),
    (b"8BPS", "is a Photoshop document, which is not read; save it as PNG or TIFF."),
    (b"SIMPLE  =", f"is a FITS image, which is not read; {EXPORT}"),
    (b"NRRD", f"is an NRRD image, which is not read; {EXPORT}"),
    (b"\x1aE\xdf\xa3", "is a video; export its frames as a TIFF stack."),
)
ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
TIFF = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")

CZI = b"ZISRAWFILE"
ND2 = b"\xda\xce\xbe\x0a"
JPEG_2000 = b"\x00\x00\x00\x0cjP  \r\n\x87\n"  # old ND2 files are such
LIF = b"\x70\x00\x00\x00"
# Formats of vendors: their libraries take seconds to load, so few processes load them.
VENDORS = (CZI, ND2, JPEG_2000, LIF)
