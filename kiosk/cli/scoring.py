"""`kiosk evaluate`: label images against ground truth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kiosk.cli.terminal import app, console, errors
from kiosk.errors import InvalidRequest
from kiosk.settings import Settings

if TYPE_CHECKING:
    from kiosk.evaluation.ctc_folders import CtcSequence


@app.command()
def evaluate(
    predicted: Annotated[
        Path, typer.Argument(help="Label file, folder of NAME_labels.tif, or tracks: NN_RES.")
    ],
    truth: Annotated[
        Path, typer.Argument(help="Ground truth: file, folder of NAME.tif, or tracks: NN_GT.")
    ],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, with every plane, instead of tables.")
    ] = False,
    table: Annotated[
        Path | None, typer.Option("--csv", help="Write a table with one row per plane.")
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(help="Write curves and the worst planes as a PNG.")
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="Images to show in the picture: folder of NAME.tif.")
    ] = None,
    worst: Annotated[int, typer.Option(min=0, help="Worst planes in the picture.")] = 12,
    groups: Annotated[
        Path | None, typer.Option(help="CSV with a column `name`: figures per group too.")
    ] = None,
    group_by: Annotated[
        str, typer.Option(help="Column of the groups. Default: `group`, or else `modality`.")
    ] = "",
) -> None:
    """Score label images against ground truth: F1 and AP per IoU, SEG, PQ, counts.

    F1 = TP / (TP + (FP + FN) / 2) and AP = TP / (TP + FP + FN), counts pooled over all images.

    Folders of the Cell Tracking Challenge are scored as tracks: SEG, DET, TRA, LNK, divisions.

    Example: `kiosk evaluate results truth --images cells --picture scores.png --csv scores.csv`
    """
    from rich.progress import track

    from kiosk.evaluation import evaluate as compare
    from kiosk.evaluation.ctc_folders import find_sequences
    from kiosk.evaluation.groups import read_groups
    from kiosk.evaluation.output import Output
    from kiosk.evaluation.rows import as_dict
    from kiosk.evaluation.tables import print_evaluation

    if sequences := find_sequences(predicted, truth):
        if picture or images or groups or group_by:
            raise InvalidRequest("Tracks are scored without pictures and groups; leave them out.")
        _evaluate_tracks(sequences, as_json, table)
        return
    output = Output(table=table, picture=picture, images=images, worst=worst)
    output.check()
    if group_by and groups is None:
        raise InvalidRequest("--group-by names a column of the file given with --groups; add it.")
    result = compare(
        predicted,
        truth,
        groups=read_groups(groups, group_by) if groups else None,
        # On standard error, so that JSON can be piped.
        track=lambda pairs: track(
            pairs, "images", console=errors, transient=True, disable=not errors.is_terminal
        ),
    )
    if as_json:
        print(json.dumps(as_dict(result), indent=2))
    else:
        print_evaluation(result, console)
    output.write(result, Settings().limits)


def _evaluate_tracks(sequences: list[CtcSequence], as_json: bool, table: Path | None) -> None:
    from rich.progress import track

    from kiosk.evaluation.tracking import evaluate_tracking
    from kiosk.evaluation.tracking_output import (
        print_tracking,
        tracking_as_dict,
        write_tracking_csv,
    )

    result = evaluate_tracking(
        sequences,
        track=lambda masks: track(
            masks, "frames", console=errors, transient=True, disable=not errors.is_terminal
        ),
    )
    if as_json:
        print(json.dumps(tracking_as_dict(result), indent=2))
    else:
        print_tracking(result, console)
    if table is not None:
        write_tracking_csv(table, result)
