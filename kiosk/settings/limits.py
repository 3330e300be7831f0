"""Bounds on what one request may ask for."""

from __future__ import annotations

from pydantic import Field

from kiosk.settings.group import GIB, MIB, Group


class LimitSettings(Group):
    """Bounds that keep one request from taking the machine down."""

    upload_bytes: int = Field(
        8 * GIB, gt=0, description="Largest upload. Bounded by the disk of a laptop."
    )
    plane_px: int = Field(
        100_000_000,
        gt=0,
        description="Most pixels that are unpacked at a time (10,000 x 10,000). It bounds planes"
        " of PNG and JPEG and the strips and tiles of TIFF, and with them the memory of a consumer"
        " to about 1 GiB.",
    )
    slide_px: int = Field(
        10_000_000_000,
        gt=0,
        description="Largest plane in pixels (100,000 x 100,000) where windows of it can be read,"
        " as in tiled TIFF. Whole slides reach this; memory does not grow with it, but time and"
        " disk do.",
    )
    planes: int = Field(
        20_000, gt=0, description="Most planes in one image; each is a part in the queue."
    )
    job_px: int = Field(
        200_000_000_000,
        gt=0,
        description="Most pixels in one job, all planes together: 20 slides of the largest size, or"
        " 40,000 frames of a camera. Ten hours for a GPU, a day for a laptop.",
    )
    frame_px: int = Field(
        150_000_000,
        gt=0,
        description="Most pixels of a frame that is tracked, all planes along z together: it is"
        " whole in memory, about 15 bytes for each pixel.",
    )
    table_bytes: int = Field(
        512 * MIB,
        gt=0,
        description="Longest corrected table of tracks, which is read as a whole (ten million"
        " rows).",
    )
    unpack_ratio: int = Field(
        2_000,
        gt=0,
        description="Most bytes of pixels per byte of file, where they are more than two planes of"
        " `plane_px` bytes. Deflate reaches about 1,000 on an empty plane; more is taken for a"
        " decompression bomb.",
    )
    zip_members: int = Field(
        10_000, gt=0, description="Most images in one zip archive or plate; each is a job."
    )
    zip_entries: int = Field(
        200_000,
        gt=0,
        description="Most entries in one zip archive, chunks of an OME-Zarr included. The list of"
        " them is in memory while the archive is read (about 90 MB).",
    )
    open_jobs: int = Field(
        100_000,
        gt=0,
        description="Most unfinished jobs; more are answered 'try again later'. Each takes about"
        " 1 KB of Redis' memory.",
    )
    owner_open_jobs: int = Field(
        50_000, gt=0, description="Most unfinished jobs of one owner: a large screen, overnight."
    )
    open_parts: int = Field(
        2_000_000,
        gt=0,
        description="Most parts that wait or are being done; while there are more, no new job is"
        " taken. A job has at most as many parts as it has planes or blocks.",
    )
    free_disk_bytes: int = Field(
        GIB,
        ge=0,
        description="While a disk of the kiosk has less room, uploads and jobs are answered 'try"
        " again later': what was accepted needs some to get to its end. 0 = no check.",
    )
