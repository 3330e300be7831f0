"""Hostile uploads are inspected, as the server does it: nothing may crash, hang or be unclear.

    python -m tests.fuzz.fuzzing --seconds 300 --seed 1

prints a table: inputs tried, errors by reason, crashes, slowest. Inputs that crash or
hang a reader, or end in anything but one sentence, are kept in the folder of --keep.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import random
import re
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from kiosk.adapters.decoder.decoding_files import DecodingImageFiles
from kiosk.errors import InvalidRequest, KioskError, ReaderFailed
from kiosk.inspection import inspect_file
from kiosk.ports import ImageFiles
from kiosk.reading import ReadOptions
from kiosk.settings import GIB, DecodingSettings, LimitSettings

sys.path.insert(0, str(Path(__file__).parent))
from mutations import NAMES, mutated, options
from seeds import seeds

# A sound file of this size takes a tenth of a second.
SLOW_S = 5.0
DECODING = DecodingSettings(memory_bytes=2 * GIB, open_timeout_s=10.0, plane_timeout_s=10.0)


@dataclass
class Tally:
    """What came of the inputs.

    Attributes:
        reasons: of errors, "read" for what was read.
        bad: inputs that did harm, with what they did.
    """

    tried: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    bad: list[tuple[str, bytes]] = field(default_factory=list)
    slowest_s: float = 0.0
    slowest_seed: str = ""

    def lines(self) -> list[str]:
        """The table for people."""
        found = [f"inputs tried      {self.tried}"]
        found += [f"  {reason:20} {count}" for reason, count in self.reasons.most_common()]
        found += [f"crashes and hangs {len(self.bad)}"]
        found += [f"  {what[:150]}" for what, _ in self.bad]
        found += [f"slowest           {self.slowest_s:.2f} s ({self.slowest_seed})"]
        return found


def try_one(files: ImageFiles, data: bytes, name: str, reading: ReadOptions, tally: Tally) -> None:
    """Inspect one file and note what came of it."""
    began_s = time.monotonic()
    try:
        images = inspect_file(
            files, lambda: io.BytesIO(data), name, reading, thumbnail_px=32, patience_s=20.0
        )
        errors = [image.error for image in images]
    except KioskError as error:
        errors = [error]
    except Exception as error:
        tally.bad.append((f"leaked {error!r}"[-1000:], data))
        tally.reasons["LEAKED"] += 1
        return
    finally:
        tally.tried += 1
        took_s = time.monotonic() - began_s
        if took_s > tally.slowest_s:
            tally.slowest_s, tally.slowest_seed = took_s, hashlib.sha256(data).hexdigest()[:12]
    for error in errors:
        tally.reasons[error.reason if error else "read"] += 1
        if (what := _harm(error)) is not None:
            tally.bad.append((what, data))


def _harm(error: KioskError | None) -> str | None:
    """What is wrong with an error, None where it is as it should be."""
    if error is None:
        return None
    if isinstance(error, ReaderFailed) or not isinstance(error, InvalidRequest):
        return f"{type(error).__name__}: {error.message}"
    if not re.fullmatch(r"[A-Z][A-Z_]+", error.reason) or not error.message.endswith("."):
        return f"no sentence: {error.reason} {error.message}"
    if re.search(r"Traceback|Error\b|0x[0-9a-f]{6,}", error.message):
        return f"unclear: {error.message}"
    return None


def run(files: ImageFiles, seed: int, *, inputs: int = 10**9, seconds: float = 1e9) -> Tally:
    """Try mutated seeds, and first the seeds themselves."""
    rng, tally = random.Random(seed), Tally()
    sound = list(seeds().items())
    end_s = time.monotonic() + seconds
    for name, data in sound:
        try_one(files, data, name, ReadOptions(), tally)
    while tally.tried < inputs and time.monotonic() < end_s:
        data = mutated([data for _, data in sound], rng)
        name = rng.choice(NAMES)
        try:
            reading = ReadOptions(**options(rng))
        except InvalidRequest as error:
            tally.tried += 1
            tally.reasons[error.reason] += 1
            continue
        try_one(files, data, name, reading, tally)
    return tally


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--keep", type=Path, default=None)
    asked = parser.parse_args()
    files = DecodingImageFiles(LimitSettings(), DECODING)
    tally = run(files, asked.seed, seconds=asked.seconds)
    files.close()
    print(f"seed              {asked.seed}")
    print("\n".join(tally.lines()))
    if asked.keep:
        asked.keep.mkdir(parents=True, exist_ok=True)
        for _, data in tally.bad:
            (asked.keep / hashlib.sha256(data).hexdigest()[:12]).write_bytes(data)
    return 1 if tally.bad else 0


if __name__ == "__main__":
    sys.exit(main())
