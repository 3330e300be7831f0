"""Ranges of bytes that are asked for."""

from __future__ import annotations

from aiohttp import web


def wanted_range(request: web.Request, size_bytes: int, etag: str) -> tuple[int, int]:
    """[start, stop) of the bytes asked for; the whole file for a Range that is not understood.

    Raises HTTPRequestRangeNotSatisfiable.
    """
    try:
        asked = request.http_range
    except ValueError:
        return 0, size_bytes
    if asked.start is None or request.headers.get("If-Range", etag) != etag:
        return 0, size_bytes
    start = asked.start if asked.start >= 0 else max(0, size_bytes + asked.start)
    stop = size_bytes if asked.stop is None else min(asked.stop, size_bytes)
    if start >= stop:
        raise web.HTTPRequestRangeNotSatisfiable(headers={"Content-Range": f"bytes */{size_bytes}"})
    return start, stop
