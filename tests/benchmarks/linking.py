"""Linking against the truth and beside other packages: LNK, divisions, frames per second.

python -m tests.benchmarks.linking --data tracking [--model model_repository/linking/1/model.onnx]
python -m tests.benchmarks.linking --growth          seconds and memory of long movies

`--data` holds sequences in the layout of the Cell Tracking Challenge. Only linking is measured:
the labels are the true ones. LapTrack takes part where it is installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import resource
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from kiosk.imaging.detections import Detections, detect
from kiosk.imaging.link_scores import geometric_scores
from kiosk.imaging.linking import Linker, Score
from kiosk.imaging.links import Links
from tests.benchmarks.linking_cases import CASES, Agreement, Sequence, agreement, read_case

Method = Callable[[Sequence], Links]


def network(path: Path, threads: int) -> Score:
    """The score of a weights file, run here instead of by Triton."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.enable_mem_pattern = False  # as its configuration says
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda graph: dict(zip(names, session.run(names, graph), strict=True))


def by_kiosk(score: Score, patches: bool) -> Method:
    def link(sequence: Sequence) -> Links:
        linker = Linker(score=score, movie_frames=len(sequence.labels))
        pairs = zip(sequence.labels, sequence.images, strict=True)
        pieces = [linker.add(detect(labels, pixels, patches=patches)) for labels, pixels in pairs]
        return Links.joined([*pieces, linker.finish()])

    return link


def by_laptrack(sequence: Sequence) -> Links:
    """LapTrack as its users run it: 30 px, gaps of one frame, splitting."""
    from laptrack import LapTrack

    found = [detect(labels, patches=False) for labels in sequence.labels]
    tracker = LapTrack(
        cutoff=30**2,
        gap_closing_cutoff=30**2,
        gap_closing_max_frame_count=1,
        splitting_cutoff=30**2,
    )
    tree = tracker.predict([d.positions_px[:, 1:] for d in found])
    return _links([(a, b) for a, b in tree.edges], found)


def _links(pairs: list[tuple[tuple[int, int], tuple[int, int]]], found: list[Detections]) -> Links:
    """Links from pairs of (frame, place)."""
    columns = [(a, found[a].labels[i], b, found[b].labels[j]) for (a, i), (b, j) in pairs]
    a, i, b, j = np.array(columns, np.int64).reshape(-1, 4).T
    return Links(
        source_frame=a,
        source_label=i,
        target_frame=b,
        target_label=j,
        confidence=np.ones(len(a), np.float32),
    )


def print_table(data: Path, methods: dict[str, Method]) -> None:
    folders = sorted(p.with_name(p.name[:-3]) for p in data.glob("*/*_GT"))
    for case in CASES:
        print(f"\n{case.name}")
        for name, method in methods.items():
            results, seconds = [], 0.0
            for folder in folders:
                sequence = read_case(folder, case)
                begun = time.perf_counter()
                links = method(sequence)
                seconds += time.perf_counter() - begun
                results.append(agreement(sequence, links))
            print(f"  {name:10s}", _row(folders, results), f"{seconds:.1f} s")


def _row(folders: list[Path], results: list[Agreement]) -> str:
    found, made_up, missed = np.sum([r.divisions for r in results], axis=0)
    f1 = 2 * found / max(1, 2 * found + made_up + missed)
    lnk = "  ".join(
        f"{folder.parent.name}/{folder.name} {r.lnk:.4f} of {r.ceiling:.4f}"
        for folder, r in zip(folders, results, strict=True)
    )
    return f"{lnk}  divisions {found} found {made_up} made up {missed} missed F1 {f1:.3f}"


def print_growth(score: Score, patches: bool, cells: int, lengths: tuple[int, ...]) -> None:
    """Seconds and peak memory of linking alone, for movies of several lengths."""
    side = round((cells / 200) ** 0.5 * 512)
    for frames in lengths:
        random = np.random.default_rng(0)
        places = random.uniform(10, side - 10, (cells, 2))
        linker, links = Linker(score=score, movie_frames=frames), 0
        clocks = time.perf_counter, time.process_time
        spent = np.zeros(2)
        for number in range(frames + 1):
            places = np.clip(places + random.normal(0, 2, places.shape), 8, side - 9)
            labels = np.zeros((side, side), np.uint32)
            for label, (y, x) in enumerate(places.astype(int), start=1):
                labels[y - 7 : y + 8, x - 7 : x + 8] = label
            detections = detect(labels, labels.astype(np.uint16), patches=patches)
            begun = np.array([clock() for clock in clocks])
            links += len(linker.add(detections) if number < frames else linker.finish())
            spent += [clock() for clock in clocks] - begun
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"{frames} frames of {cells} cells: {frames / spent[0]:.0f} frames/s,"
            f" {1e3 * spent[1] / frames:.1f} ms of processors per frame,"
            f" {links} links, {peak:.0f} MB at most"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of sequences")
    parser.add_argument("--model", type=Path, help="model.onnx of the linking network")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cells", type=int, default=200, help="per frame, with --growth")
    parser.add_argument("--frames", type=int, nargs="+", default=[50, 100, 200, 400])
    parser.add_argument("--growth", action="store_true", help="long made-up movies")
    arguments = parser.parse_args()
    score = network(arguments.model, arguments.threads) if arguments.model else None
    if arguments.growth:
        frames = tuple(arguments.frames)
        print_growth(score or geometric_scores, score is not None, arguments.cells, frames)
    if arguments.data:
        methods: dict[str, Method] = {"geometric": by_kiosk(geometric_scores, False)}
        if score is not None:
            methods["network"] = by_kiosk(score, True)
        if importlib.util.find_spec("laptrack"):
            methods["LapTrack"] = by_laptrack
        else:
            print("LapTrack is not installed and left out.")
        print_table(arguments.data, methods)


if __name__ == "__main__":
    main()
