"""Movies with truth as linking sees them: detections, and which track each belongs to."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import tifffile

from kiosk.imaging.detections import Detections, detect
from training.linking.cutouts import Cutout, load_cutouts
from training.linking.movies import Movie


@dataclass(frozen=True)
class TrueMovie:
    """Attributes:
    frames: detections of each frame.
    tracks: (n,) int64 for each frame, the track of each detection; 0 = of none.
    parents: track -> its mother, or 0.
    made_up: whether it was drawn, and so has as fine steps of time as one likes.
    """

    frames: list[Detections]
    tracks: list[np.ndarray]
    parents: dict[int, int]
    made_up: bool

    def save(self, path: Path) -> None:
        arrays = {
            f"{number}/{name}": values
            for number, frame in enumerate(self.frames)
            for name, values in frame.columns().items()
        }
        arrays |= {f"{number}/tracks": tracks for number, tracks in enumerate(self.tracks)}
        arrays["parents"] = np.array(sorted(self.parents.items()), np.int64).reshape(-1, 2)
        np.savez_compressed(path.with_suffix(".tmp.npz"), allow_pickle=False, **arrays)
        path.with_suffix(".tmp.npz").replace(path)

    @classmethod
    def load(cls, path: Path) -> TrueMovie:
        """Of a made-up movie."""
        with np.load(path) as stored:
            arrays = {name: stored[name] for name in stored.files}
        frames: list[dict[str, np.ndarray]] = []
        for name, values in arrays.items():
            if "/" in name:
                number, column = name.split("/")
                while len(frames) <= int(number):
                    frames.append({})
                frames[int(number)][column] = values
        tracks = [frame.pop("tracks") for frame in frames]
        parents = {int(k): int(p) for k, p in arrays["parents"]}
        return cls([Detections.from_columns(f) for f in frames], tracks, parents, True)


def made_up_movie(cutouts: dict[str, list[Cutout]], seed: int) -> TrueMovie:
    """Play one movie and keep what linking would see of it."""
    movie = Movie(cutouts, np.random.default_rng(seed))
    frames, tracks = [], []
    for drawn in movie:
        detections = detect(drawn.labels, drawn.pixels)
        frames.append(detections)
        tracks.append(drawn.tracks[detections.labels.astype(np.int64) - 1])
    return TrueMovie(frames, tracks, movie.parents, True)


def made_up_movies(
    folder: Path, data: list[Path], count: int, seed: int, processes: int = 1
) -> list[TrueMovie]:
    """So many movies, kept in `folder`; those that are there already are not made again."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"movie_{seed}_{number:04d}.npz" for number in range(count)]
    missing = [path for path in paths if not path.exists()]
    if missing:
        cutouts = load_cutouts(data, seed)
        with ProcessPoolExecutor(processes) as pool:
            list(pool.map(partial(_make, cutouts, seed), missing, chunksize=16))
    return [TrueMovie.load(path) for path in paths]


def _make(cutouts: dict[str, list[Cutout]], seed: int, path: Path) -> None:
    number = int(path.stem.rsplit("_", 1)[1])
    made_up_movie(cutouts, seed * 100_000 + number).save(path)


def read_sequence(folder: Path) -> TrueMovie:
    """A sequence with its truth in the layout of the Cell Tracking Challenge.

    Args:
        folder: of the images (t000.tif ...); the truth is beside it, in FOLDER_GT/TRA.
    """
    truth = folder.with_name(folder.name + "_GT") / "TRA"
    frames, tracks = [], []
    for image, mask in zip(sorted(folder.glob("t*.tif")), sorted(truth.glob("man_track*.tif"))):
        detections = detect(tifffile.imread(mask), tifffile.imread(image))
        frames.append(detections)
        tracks.append(detections.labels.astype(np.int64))
    rows = [line.split() for line in (truth / "man_track.txt").read_text().splitlines() if line]
    return TrueMovie(frames, tracks, {int(r[0]): int(r[3]) for r in rows}, False)


def true_sources(
    tracks: list[np.ndarray], parents: dict[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Which earlier instance each instance comes from.

    Args:
        tracks: (n,) for each frame of a window; 0 = an instance of no cell.
        parents: track -> mother or 0.

    Returns:
        source: (all,) the place of the last instance of the same cell or of its mother, counted
        through the window, or -1; frame: (all,) place of each instance's frame.
    """
    counts = [len(t) for t in tracks]
    source = np.full(sum(counts), -1, np.int64)
    newest: dict[int, int] = {}
    place = 0
    for of_frame in tracks:
        begin = place
        for track in of_frame.tolist():
            mother = track
            while mother and mother not in newest:
                mother = parents.get(mother, 0)
            if track and mother:
                source[place] = newest[mother]
            place += 1
        newest.update((int(t), begin + i) for i, t in enumerate(of_frame) if t)
    return source, np.repeat(np.arange(len(tracks)), counts)
