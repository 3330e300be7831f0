"""`kiosk models sync`: keep a folder like a model repository elsewhere, for Triton to load from.

A version appears in the folder complete or not at all, and the files beside the versions, such as
config.pbtxt, come after them. Only what an earlier sync has brought is removed. Copies differ from
their source in one thing: networks are called by their contents (`kiosk.graph_name`).
"""

from __future__ import annotations

import asyncio
import errno
import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from kiosk.errors import DISK_FULL, KioskError, Outage, PermanentError, TransientError
from kiosk.graph_name import RENAMING_BYTES, is_network, name_networks
from kiosk.jobs import plain_name
from kiosk.ports import ModelSource, SourceFile

RECORD = ".kiosk-sync.json"
"""What was brought: path -> mark. A file, because Triton takes every folder for a model."""

FULL = (errno.ENOSPC, errno.EDQUOT)

Say = Callable[[str], None]


class ModelSync:
    """Copies what has changed, and remembers what it has brought.

    Args:
        say: is told what was changed, a sentence at a time.
    """

    def __init__(self, source: ModelSource, folder: Path, say: Say) -> None:
        self._source = source
        self._folder = folder.absolute()
        self._say = say
        self._brought: dict[str, str] = {}
        self._seen: dict[str, str] | None = None
        self._left_out: set[str] = set()

    async def run(self, every_s: float, stopping: asyncio.Event) -> None:
        """Do it again and again until told to stop; once, where `every_s` is 0.

        Raises KioskError where it is done once; else the next time may be better.
        """
        told = asyncio.create_task(stopping.wait())
        while not told.done():
            once = asyncio.create_task(self.once())
            await asyncio.wait({once, told}, return_when=asyncio.FIRST_COMPLETED)
            if not once.done():
                once.cancel()
                await asyncio.wait({once})
                return
            try:
                once.result()
            except KioskError as error:
                if not every_s:
                    raise
                self._say(error.message)
            if not every_s:
                return
            await asyncio.wait({told}, timeout=every_s)

    async def once(self) -> int:
        """Bring the folder up to date; returns how many files were copied or removed.

        From the second call on, what has changed since the call before is left for the next one:
        it may still be being written.

        Raises:
            Outage: the source does not answer, or the disk is full.
            PermanentError: the source holds no model, or the folder cannot be used.
        """
        files = self._trusted(await self._source.files())
        if not any(file.path.endswith("/config.pbtxt") for file in files):
            # An empty listing would otherwise remove every model.
            raise PermanentError("The source holds no model; nothing was changed.")
        seen, self._seen = self._seen, {file.path: file.mark for file in files}
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._brought = _read_record(self._folder / RECORD)
            changed = 0
            for model in sorted({file.path.partition("/")[0] for file in files}):
                own = [file for file in files if file.path.startswith(f"{model}/")]
                if seen is None or all(seen.get(file.path) == file.mark for file in own):
                    changed += await self._bring_model(model, own)
            return changed + self._remove(self._brought.keys() - self._seen.keys())
        except OSError as error:
            raise _told(error) from error

    def _trusted(self, files: Sequence[SourceFile]) -> list[SourceFile]:
        """Files of models; hidden ones, and those with odd names, are left out."""
        odd = {file.path for file in files if not _is_plain(file.path)}
        for path in sorted(odd - self._left_out):
            if "/" in path and not path.startswith("."):
                self._say(f"'{plain_name(path)}' is left out: it is no plain name.")
        self._left_out = odd
        return [file for file in files if _is_plain(file.path)]

    async def _bring_model(self, model: str, files: Sequence[SourceFile]) -> int:
        versions: dict[str, list[SourceFile]] = {}
        beside = []
        for file in files:
            version, _, rest = file.path.removeprefix(f"{model}/").partition("/")
            if rest and version.isascii() and version.isdigit():
                versions.setdefault(version, []).append(file)
            else:
                beside.append(file)
        changed = 0
        for version in sorted(versions, key=int):
            changed += await self._bring_version(model, version, versions[version])
        # What Triton reads first comes last.
        for file in sorted(beside, key=lambda file: (file.path.endswith(".pbtxt"), file.path)):
            changed += await self._bring_file(file)
        return changed

    async def _bring_version(self, model: str, version: str, files: Sequence[SourceFile]) -> int:
        prefix = f"{model}/{version}/"
        gone = {path for path in self._brought if path.startswith(prefix)}
        gone -= {file.path for file in files}
        if not gone and all(self._is_there(file, is_of_version=True) for file in files):
            return 0
        target = self._place(prefix + "_").parent
        partial, old = (target.with_name(f".{version}.{word}") for word in ("partial", "old"))
        for leftover in (partial, old):
            shutil.rmtree(leftover, ignore_errors=True)
        for file in files:
            place = partial / file.path.removeprefix(prefix)
            place.parent.mkdir(parents=True, exist_ok=True)
            await self._fetch(file, place)
        name_networks(partial)
        if target.exists():
            target.rename(old)
        partial.rename(target)
        shutil.rmtree(old, ignore_errors=True)
        self._note(files, gone)
        self._say(f"Version {version} of '{model}' is here ({len(files)} files).")
        return len(files)

    async def _bring_file(self, file: SourceFile) -> int:
        if self._is_there(file):
            return 0
        place = self._place(file.path)
        place.parent.mkdir(parents=True, exist_ok=True)
        partial = place.with_name(f".{place.name}.partial")
        await self._fetch(file, partial)
        partial.replace(place)
        self._note([file])
        self._say(f"{file.path} is here.")
        return 1

    async def _fetch(self, file: SourceFile, place: Path) -> None:
        with _new_file(place) as target:
            await self._source.fetch(file, target)
            size_bytes = target.tell()
        if size_bytes != file.size_bytes:
            raise TransientError(f"'{file.path}' changed while it was copied; it is left for now.")

    def _is_there(self, file: SourceFile, *, is_of_version: bool = False) -> bool:
        place = self._place(file.path)
        if self._brought.get(file.path) != file.mark or not place.is_file():
            return False
        added_bytes = RENAMING_BYTES if is_of_version and is_network(place) else 0
        return place.stat().st_size == file.size_bytes + added_bytes

    def _remove(self, paths: Iterable[str]) -> int:
        """Remove files that were brought and are gone from the source; Triton's entry first."""
        count = 0
        for path in sorted(filter(_is_plain, paths), key=lambda p: (not p.endswith(".pbtxt"), p)):
            place = self._place(path)
            if place.is_file():
                place.unlink()
                count += 1
                self._say(f"{path} is removed.")
            for folder in place.parents:
                if folder == self._folder or not folder.is_dir() or any(folder.iterdir()):
                    break
                folder.rmdir()
            self._note([], [path])
        return count

    def _place(self, path: str) -> Path:
        """Where a file belongs. Raises PermanentError where a link leads out of the folder."""
        place = self._folder / path
        if place.parent.resolve() != self._folder.resolve() / PurePosixPath(path).parent:
            raise PermanentError(f"{place.parent} is a link; models are copied to folders only.")
        return place

    def _note(self, files: Iterable[SourceFile], gone: Iterable[str] = ()) -> None:
        for path in gone:
            self._brought.pop(path, None)
        self._brought.update({file.path: file.mark for file in files})
        partial = self._folder / f"{RECORD}.partial"
        partial.write_text(json.dumps(self._brought, indent=1, sort_keys=True) + "\n")
        partial.replace(self._folder / RECORD)


def _new_file(place: Path) -> BinaryIO:
    """An empty file; what was there before, perhaps a link, is not written to."""
    place.unlink(missing_ok=True)
    return place.open("xb")


def _is_plain(path: str) -> bool:
    """Whether a path names a file of a model, and nothing else anywhere."""
    parts = path.split("/")
    return (
        len(parts) >= 2
        and path.isprintable()
        and "\\" not in path
        and all(part and not part.startswith(".") for part in parts)
    )


def _read_record(path: Path) -> dict[str, str]:
    """What was brought before; nothing where the record is not there or damaged."""
    try:
        record = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    if not isinstance(record, dict):
        return {}
    return {str(key): str(value) for key, value in record.items()}


def _told(error: OSError) -> Outage | PermanentError:
    if error.errno in FULL:
        return Outage("The disk is full, so models cannot be copied.", reason=DISK_FULL)
    return PermanentError(f"Models cannot be copied: {error}.")
