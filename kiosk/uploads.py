"""Uploads: files that arrive in pieces, survive breaks, and are checked when complete.

A piece is an object of its own named by its offset, so any server can take the next one and
the state of an upload is what lies in the object store. Completing puts the pieces together
and computes the SHA-256 on the way.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, replace

from kiosk.callers import Caller, Scope
from kiosk.checksums import Checksum
from kiosk.disk_room import ANY_ROOM, DiskRoom
from kiosk.errors import InvalidRequest, NotFound, TooLarge, WrongState
from kiosk.jobs import Upload, link_key, new_id, plain_name, upload_key
from kiosk.linked import check_url, name_in
from kiosk.ports import ObjectStore
from kiosk.telemetry import UPLOAD_BYTES

# Bytes gathered before a piece is written: a break loses at most this much.
PIECE_BYTES = 8 * 1024 * 1024
# Bytes that were held back for their checksum are read again so many at a time.
SPOOLED_BYTES = 1024 * 1024
# The pieces, and the whole that is put together from them, lie there at the same time.
COPIES = 2
# An upload outlives the retention of a job by this much, so that a job submitted late can finish.
EXTRA_RETENTION_S = 24 * 3600.0
LONGEST_FILE_NAME = 255


class Uploads:
    """All uploads of a kiosk, in its object store.

    Every call names its caller and raises PermissionDenied for what that one may not do, NotFound
    for uploads of others.
    """

    def __init__(
        self,
        store: ObjectStore,
        limit_bytes: int,
        retention_s: float,
        allowed_urls: str = "",
        room: DiskRoom = ANY_ROOM,
    ) -> None:
        self._room = room
        self._store = store
        self._allowed_urls = allowed_urls.split()
        self._limit_bytes = limit_bytes
        self._retention_s = retention_s
        self._writing: set[str] = set()

    @property
    def limit_bytes(self) -> int:
        return self._limit_bytes

    async def create(
        self, file_name: str, size_bytes: int, sha256: str, *, caller: Caller
    ) -> Upload:
        """Begin an upload; size < 0 when it is not known in advance.

        Raises InvalidRequest for a missing name or an odd checksum, TooLarge for the size, and
        Overloaded when the disk has no room for it.
        """
        caller.require(Scope.WRITE)
        if not file_name.strip():
            raise InvalidRequest("The upload has no file name. Give one.", field="file_name")
        if sha256 and (len(sha256) != 64 or not set(sha256.lower()) <= set("0123456789abcdef")):
            raise InvalidRequest("The SHA-256 must be 64 hexadecimal digits.", field="sha256")
        self._check_size(size_bytes)
        self._room.check(COPIES * max(0, size_bytes))
        upload = self._new(file_name, size_bytes, caller.owner)
        return await self._begin(replace(upload, sha256=sha256.lower()))

    async def link(self, url: str, file_name: str = "", *, caller: Caller) -> Upload:
        """An upload that points to where the image already is; complete at once.

        Raises InvalidRequest for an address that is not below one of the allowed ones.
        """
        caller.require(Scope.WRITE)
        check_url(url, self._allowed_urls)
        upload = self._new(file_name or name_in(url), 0, caller.owner)
        return await self._begin(replace(upload, complete=True), link=url.rstrip("/"))

    def _new(self, file_name: str, size_bytes: int, owner: str) -> Upload:
        now = time.time()
        return Upload(
            id=new_id(),
            file_name=plain_name(file_name)[-LONGEST_FILE_NAME:],
            size_bytes=size_bytes,
            owner=owner,
            create_time_s=now,
            expire_time_s=now + self._retention_s + EXTRA_RETENTION_S,
        )

    async def _begin(self, upload: Upload, link: str = "") -> Upload:
        # This note first: what a server that dies here has stored is swept when its time comes.
        await self._store.put(_expiry_key(upload), b"")
        if link:
            await self._store.put(link_key(upload.id), link.encode())
        await self._save(upload)
        return upload

    async def get(self, upload_id: str, *, caller: Caller) -> Upload:
        """The upload and how much of it has arrived. Raises NotFound."""
        caller.require(Scope.READ, Scope.WRITE)
        return await self._get(upload_id, caller)

    async def get_complete(self, upload_id: str, *, caller: Caller) -> Upload:
        """An upload that has arrived as a whole. Raises NotFound, WrongState."""
        upload = await self.get(upload_id, caller=caller)
        if not upload.complete:
            raise WrongState(
                f"The upload is not complete: {upload.offset_bytes} bytes have arrived. Send the"
                " rest first.",
                reason="UPLOAD_INCOMPLETE",
            )
        return upload

    async def _get(self, upload_id: str, caller: Caller) -> Upload:
        missing = NotFound(
            f"There is no upload '{upload_id}'. It may have expired; upload the file again."
        )
        if not upload_id.isalnum():
            raise missing
        try:
            record = json.loads(await self._store.get(f"uploads/{upload_id}/upload.json"))
        except NotFound:
            raise missing from None
        upload = Upload(**record)
        if not caller.sees_upload(upload.owner):
            raise missing
        if upload.complete:
            return upload
        pieces = await self._pieces(upload_id)
        return replace(upload, offset_bytes=sum(size for _, size in pieces))

    async def append(
        self,
        upload_id: str,
        offset_bytes: int,
        data: AsyncIterator[bytes],
        finish: bool = False,
        *,
        caller: Caller,
        checksum: Checksum | None = None,
    ) -> Upload:
        """Add bytes at the end of what has arrived; on a break, what came in is kept.

        Args:
            offset_bytes: must equal what has arrived so far.
            finish: complete the upload with the last byte, also when its size was not announced.
            checksum: of these bytes; they are kept when all have come and it is right, or not at
                all.

        Raises:
            WrongState: wrong offset, already complete, or somebody else is writing.
            TooLarge: more bytes than announced or allowed.
            InvalidRequest: the checksum is wrong; if it is that of the file, the upload is removed.
        """
        caller.require(Scope.WRITE)
        upload = await self._get(upload_id, caller)
        if upload.complete:
            raise WrongState("This upload is complete already.", reason="UPLOAD_COMPLETE")
        if offset_bytes != upload.offset_bytes:
            raise WrongState(
                f"The next byte expected is {upload.offset_bytes}, not {offset_bytes}. Ask for the"
                " upload's offset and go on from there.",
                reason="OFFSET_MISMATCH",
            )
        if upload_id in self._writing:
            raise WrongState(
                "Another connection is writing this upload.", reason="UPLOAD_IN_PROGRESS"
            )
        self._writing.add(upload_id)
        try:
            if checksum is not None:
                data = self._checked(upload, data, checksum)
            upload = await self._receive(upload, data)
            if finish or upload.offset_bytes == upload.size_bytes:
                upload = await self._complete(upload)
            return upload
        finally:
            self._writing.discard(upload_id)

    async def delete(self, upload_id: str, *, caller: Caller) -> None:
        caller.require(Scope.WRITE)
        await self._remove(await self._get(upload_id, caller))

    async def _remove(self, upload: Upload) -> None:
        await self._store.delete_prefix(f"uploads/{upload.id}/")
        await self._store.delete_prefix(_expiry_key(upload))

    async def extend(self, upload_id: str, expire_time_s: float, *, caller: Caller) -> Upload:
        """Keep an upload until then, if it would have gone before. Raises NotFound."""
        caller.require(Scope.WRITE)
        upload = await self._get(upload_id, caller)
        if expire_time_s <= upload.expire_time_s:
            return upload
        return await self._begin(replace(upload, expire_time_s=expire_time_s))

    async def sweep(self) -> int:
        """Delete expired uploads; returns how many."""
        now = time.time()
        expired = [
            (key, key.rsplit("-", 1)[1])
            for key, _ in await self._store.list("expiring/")
            if int(key.removeprefix("expiring/").split("-")[0]) < now
        ]
        swept = 0
        for key, upload_id in expired:
            if not await self._is_kept_at(upload_id, now):
                await self._store.delete_prefix(f"uploads/{upload_id}/")
                swept += 1
            await self._store.delete_prefix(key)
        return swept

    async def _is_kept_at(self, upload_id: str, time_s: float) -> bool:
        """Whether an upload was extended beyond then; a second note says until when."""
        try:
            record = json.loads(await self._store.get(f"uploads/{upload_id}/upload.json"))
        except NotFound:
            return False
        return float(record["expire_time_s"]) > time_s

    async def _receive(self, upload: Upload, data: AsyncIterator[bytes]) -> Upload:
        buffer = bytearray()
        offset = upload.offset_bytes
        try:
            async for chunk in data:
                self._check_arrived(upload, offset + len(buffer) + len(chunk))
                buffer += chunk
                UPLOAD_BYTES.inc(len(chunk))
                if len(buffer) >= PIECE_BYTES:
                    self._room.check()
                    await self._write_piece(upload.id, offset, bytes(buffer))
                    offset += len(buffer)
                    buffer.clear()
        finally:
            # Also when the connection broke: the sender then goes on after these bytes.
            if buffer:
                await asyncio.shield(self._write_piece(upload.id, offset, bytes(buffer)))
                offset += len(buffer)
        return replace(upload, offset_bytes=offset)

    async def _checked(
        self, upload: Upload, data: AsyncIterator[bytes], checksum: Checksum
    ) -> AsyncIterator[bytes]:
        """The bytes, from a temporary file, once all are there and their checksum is right."""
        hasher, arrived = checksum.hasher(), upload.offset_bytes
        with tempfile.TemporaryFile(prefix="kiosk-upload-") as file:
            async for chunk in data:
                if arrived % PIECE_BYTES + len(chunk) >= PIECE_BYTES:
                    self._room.check()
                arrived += len(chunk)
                self._check_arrived(upload, arrived)
                hasher.update(chunk)
                await asyncio.to_thread(file.write, chunk)
            checksum.check(hasher)
            file.seek(0)
            while chunk := await asyncio.to_thread(file.read, SPOOLED_BYTES):
                yield chunk

    async def _complete(self, upload: Upload) -> Upload:
        if 0 <= upload.size_bytes != upload.offset_bytes:
            raise InvalidRequest(
                f"The upload was announced with {upload.size_bytes} bytes, but"
                f" {upload.offset_bytes} arrived. Send the rest, or start a new upload.",
                reason="INCOMPLETE_UPLOAD",
            )
        sha256 = await self._assemble(upload.id)
        if upload.sha256 and upload.sha256 != sha256:
            await self._remove(upload)
            raise InvalidRequest(
                "The file was damaged on its way: its SHA-256 differs from the announced one."
                " Upload it again.",
                reason="CHECKSUM_MISMATCH",
            )
        done = replace(upload, size_bytes=upload.offset_bytes, sha256=sha256, complete=True)
        await self._save(done)
        await self._store.flush(f"uploads/{upload.id}/")  # the sender may forget its copy now
        await self._store.delete_prefix(f"uploads/{upload.id}/pieces/")
        return done

    async def _assemble(self, upload_id: str) -> str:
        """Put the pieces together as one object; returns the SHA-256 of the whole."""
        pieces = await self._pieces(upload_id)
        digest = hashlib.sha256()
        if len(pieces) <= 1:
            data = await self._store.get(pieces[0][0]) if pieces else b""
            digest.update(data)
            await self._store.put(upload_key(upload_id), data)
            return digest.hexdigest()
        with tempfile.TemporaryFile(prefix="kiosk-upload-") as file:
            for key, _ in pieces:
                data = await self._store.get(key)
                digest.update(data)
                await asyncio.to_thread(file.write, data)
            await self._store.put_file(upload_key(upload_id), file)
        return digest.hexdigest()

    async def _pieces(self, upload_id: str) -> list[tuple[str, int]]:
        """Pieces without a gap from the first byte on; what lies beyond a gap is not counted."""
        found, end = [], 0
        for key, size in await self._store.list(f"uploads/{upload_id}/pieces/"):
            if int(key.rsplit("/", 1)[1]) != end:
                break
            found.append((key, size))
            end += size
        return found

    async def _write_piece(self, upload_id: str, offset: int, data: bytes) -> None:
        await self._store.put(f"uploads/{upload_id}/pieces/{offset:015d}", data)

    async def _save(self, upload: Upload) -> None:
        record = json.dumps(asdict(upload)).encode()
        await self._store.put(f"uploads/{upload.id}/upload.json", record)

    def _check_arrived(self, upload: Upload, arrived_bytes: int) -> None:
        if 0 <= upload.size_bytes < arrived_bytes:
            raise TooLarge(
                f"More bytes arrived than the {upload.size_bytes} that were announced.",
                reason="MORE_THAN_ANNOUNCED",
            )
        self._check_size(arrived_bytes)

    def _check_size(self, size_bytes: int) -> None:
        if size_bytes > self._limit_bytes:
            raise TooLarge(
                f"The file is larger than this kiosk takes ({_readable(self._limit_bytes)}). Split"
                " it, or ask for a higher limit (KIOSK_LIMITS__UPLOAD_BYTES).",
                reason="UPLOAD_TOO_LARGE",
            )


def _expiry_key(upload: Upload) -> str:
    """Object key of the note that says when an upload expires; listing is by time."""
    return f"expiring/{int(upload.expire_time_s):012d}-{upload.id}"


def _readable(size_bytes: int) -> str:
    for unit, name in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if size_bytes >= unit:
            return f"{size_bytes / unit:.3g} {name}"
    return f"{size_bytes} bytes"
