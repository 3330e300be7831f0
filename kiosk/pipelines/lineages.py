"""The lineage of a movie: linked by the linker, or as the job's owner has corrected it."""

from __future__ import annotations

import numpy as np

from kiosk.errors import InvalidRequest, NotFound, TooLarge
from kiosk.imaging.corrected_rows import mothers_of, read_ctc_mothers, read_rows, text_of
from kiosk.imaging.corrections import lineage_from_label_images, lineage_from_rows
from kiosk.imaging.lineage import Lineage, lineage_from_links
from kiosk.imaging.linking import Linker, LinkOptions
from kiosk.imaging.links import Links
from kiosk.jobs import upload_key
from kiosk.pipelines.assembling import Fetch
from kiosk.pipelines.context import JobContext
from kiosk.pipelines.linking_model import score_of
from kiosk.pipelines.tracked_frames import TrackedFrames
from kiosk.tracking_request import TrackingRequest

# Enough for the first line of a res_track.txt; an even number, because UTF-16 has pairs.
HEAD_BYTES = 1000


def lineage_of(context: JobContext, frames: TrackedFrames, fetch: Fetch) -> Lineage:
    """Who is who in a movie; for use in a thread.

    Raises:
        InvalidRequest: what its owner has corrected is no lineage.
    """
    request = context.tracking
    if request.mend and not request.labels:
        frames.mend()
    if request.is_linked:
        return _linked(context, frames, fetch)
    labels = [frames.table(t)["label"].astype(np.int64) for t in range(frames.count)]
    if not request.tracks:
        return lineage_from_label_images(labels, None, request.labels_name)
    data, name = fetch(_table(context)), request.tracks_name
    is_ctc = _is_ctc(data)
    if request.labels_are_tracks or is_ctc:
        mothers = (
            read_ctc_mothers(text_of(data), name) if is_ctc else mothers_of(read_rows(data, name))
        )
        return lineage_from_label_images(labels, mothers, request.labels_name)
    return lineage_from_rows(read_rows(data, name), labels, _labels_at(frames), name)


def link_options(request: TrackingRequest) -> LinkOptions:
    """What the linker is asked for; what nobody has said has its default."""
    options = {"divisions": request.divisions, "correct_drift": request.correct_drift}
    gap = request.longest_gap_frames
    return LinkOptions(
        longest_gap=LinkOptions().longest_gap if gap is None else gap + 1,
        reach_px=request.reach_px or None,
        **options,
    )


def _linked(context: JobContext, frames: TrackedFrames, fetch: Fetch) -> Lineage:
    linker = Linker(link_options(context.tracking), score_of(context, fetch), frames.count)
    labels: list[np.ndarray] = []
    links: list[Links] = []
    for t in range(frames.count):
        found = frames.detections(t)
        labels.append(found.labels.astype(np.int64))
        links.append(linker.add(found))
    links.append(linker.finish())
    return lineage_from_links(labels, Links.joined(links))


async def check_table(context: JobContext) -> None:
    """Raise InvalidRequest when the corrected table of a job is not there or too long."""
    try:
        size_bytes = await context.store.size(upload_key(context.tracking.tracks))
    except NotFound as error:
        raise InvalidRequest(
            "The uploaded table of tracks is no longer there, or is an address. Upload the file.",
            reason="UPLOAD_GONE",
        ) from error
    if size_bytes > context.options.table_bytes:
        raise TooLarge(
            f"The table of tracks has {size_bytes} bytes and this kiosk takes at most"
            f" {context.options.table_bytes}; leave out columns that are not needed, or raise"
            " KIOSK_LIMITS__TABLE_BYTES.",
            field="tracks",
        )


async def _table(context: JobContext) -> bytes:
    await check_table(context)
    return await context.store.get(upload_key(context.tracking.tracks))


def _is_ctc(data: bytes) -> bool:
    """Whether this is a res_track.txt: numbers with spaces between them, and no header."""
    first = text_of(data[:HEAD_BYTES]).strip().split("\n", 1)[0].split()
    return len(first) == 4 and all(word.isdigit() for word in first)


class _labels_at:  # noqa: N801 - used like a function
    """Looks labels up by frame and position."""

    def __init__(self, frames: TrackedFrames) -> None:
        self._frames = frames

    def __call__(self, t: int, places: np.ndarray) -> np.ndarray:
        labels = self._frames.labels(t)
        stack = labels if labels.ndim == 3 else labels[None]
        inside = ((places >= 0) & (places < stack.shape)).all(axis=1)
        found = np.zeros(len(places), np.int64)
        z, y, x = places[inside].T
        found[inside] = stack[z, y, x]
        return found
