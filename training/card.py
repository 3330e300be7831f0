"""The figures of a model card, as tables between two marks of its README.

`python -m training.card --card model_repository/nuclei/README.md --section test --results OUT
--truth DIR --groups index.csv --group-by modality --before OUT_OF_THE_VERSION_BEFORE` puts in what
`kiosk evaluate` finds in results of a running kiosk. A training run writes its own section,
`validation`, into the card that it begins.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from pathlib import Path

from kiosk.evaluation import Scores, evaluate
from kiosk.evaluation.groups import read_groups
from kiosk.imaging.scores import COARSE_THRESHOLDS


def accuracy_tables(groups: Mapping[str, Scores], before: Mapping[str, Scores]) -> str:
    """Markdown: all groups together per IoU, then, where there are several, each at IoU 0.5.

    Args:
        groups: figures of each group of images, by name.
        before: the same of another version, or empty.
    """
    pooled = sum(groups.values(), Scores())
    total = sum(before.values(), Scores())
    rows = [_row(f"{iou:.1f}", pooled, iou) for iou in COARSE_THRESHOLDS]
    lines = ["| IoU | precision | recall | F1 | AP |", "| --- | --- | --- | --- | --- |", *rows]
    lines += [
        "",
        f"{pooled.planes} images with {pooled.truth_count} instances. Mean AP over these IoU"
        f" {pooled.mean_ap:.3f}, SEG {pooled.seg.mean:.3f}, panoptic quality"
        f" {pooled.panoptic.quality:.3f}."
        + (
            f" Version before: F1 {total.at(0.5).f1:.3f}, mean AP {total.mean_ap:.3f}."
            * bool(before)
        ),
    ]
    if len(groups) == 1:
        return "\n".join(lines)
    return "\n".join([*lines, "", group_table(groups, before)])


def group_table(groups: Mapping[str, Scores], before: Mapping[str, Scores]) -> str:
    """Markdown: each group at IoU 0.5."""
    extra = (" F1 before |", " --- |") if before else ("", "")
    lines = [
        "| kind, at IoU 0.5 | images | instances | precision | recall | F1 | AP |" + extra[0],
        "| --- | --- | --- | --- | --- | --- | --- |" + extra[1],
    ]
    for name, scores in groups.items():
        label = f"{name.replace('_', ' ')} | {scores.planes} | {scores.truth_count}"
        old = f" {before[name].at(0.5).f1:.3f} |" if name in before else ""
        lines.append(_row(label, scores, 0.5) + old)
    return "\n".join(lines)


def with_section(card: str, section: str, text: str) -> str:
    """The card with the text between the marks of a section, which are added where they lack."""
    begin, end = f"<!-- {section}: made by training.card -->", f"<!-- end of {section} -->"
    block = f"{begin}\n\n{text}\n\n{end}"
    marked = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if marked.search(card):
        return marked.sub(lambda _: block, card)
    return f"{card.rstrip()}\n\n{block}\n"


def _row(label: str, scores: Scores, iou: float) -> str:
    counts = scores.at(iou)
    values = (counts.precision, counts.recall, counts.f1, counts.average_precision)
    return f"| {label} | " + " | ".join(f"{value:.3f}" for value in values) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--card", type=Path, required=True)
    parser.add_argument("--section", required=True, help="name of the marks in the card")
    parser.add_argument("--results", type=Path, required=True, help="what `kiosk segment` wrote")
    parser.add_argument("--truth", type=Path, required=True)
    parser.add_argument("--groups", type=Path, help="CSV with the group of each image")
    parser.add_argument("--group-by", default="")
    parser.add_argument("--only-groups", action="store_true", help="without the pooled table")
    parser.add_argument("--before", type=Path, help="results of the version before")
    arguments = parser.parse_args()
    groups = read_groups(arguments.groups, arguments.group_by) if arguments.groups else None

    def figures(results: Path) -> dict[str, Scores]:
        found = evaluate(results, arguments.truth, groups=groups)
        return found.groups or {arguments.section: found.pooled}

    before = figures(arguments.before) if arguments.before else {}
    make = group_table if arguments.only_groups else accuracy_tables
    tables = make(figures(arguments.results), before)
    card = arguments.card.read_text()
    arguments.card.write_text(with_section(card, arguments.section, tables))
    print(tables)


if __name__ == "__main__":
    main()
