"""`kiosk track`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kiosk.cli.asked import named_numbers, track_format_names
from kiosk.cli.options import (
    READING,
    RESULTS,
    WHAT,
    Axes,
    Channel,
    DiameterPx,
    Model,
    Out,
    Overwrite,
    Parameters,
    PixelSizeUm,
    Series,
    SkipExisting,
    ZStepUm,
)
from kiosk.cli.outcomes import check_replacing, print_outcomes
from kiosk.cli.terminal import Server, app, ask, console
from kiosk.errors import InvalidRequest
from kiosk.image_paths import is_address

if TYPE_CHECKING:
    from kiosk.movies import TrackRequest

LINKING = "Linking"

Labels = Annotated[
    str,
    typer.Option(
        metavar="FILE|FOLDER",
        help="Label images of the movie, to link instead of segmenting it.",
        rich_help_panel=WHAT,
        show_default=False,
    ),
]
Tracks = Annotated[
    str,
    typer.Option(
        metavar="FILE",
        help="Corrected NAME_tracks.csv of these labels: it says who is who.",
        rich_help_panel=WHAT,
        show_default=False,
    ),
]
KeepIds = Annotated[
    bool,
    typer.Option(
        "--keep-ids",
        help="A number in the labels is the same cell in all frames, as after correcting tracked"
        " labels; with --tracks (the table from before, or a res_track.txt) for the mothers.",
        rich_help_panel=WHAT,
    ),
]
SkipBadFrames = Annotated[
    bool,
    typer.Option(
        "--skip-bad-frames",
        help="Go on when a frame cannot be read or segmented; it counts as empty.",
        rich_help_panel=READING,
    ),
]
Linker = Annotated[
    str,
    typer.Option(
        metavar="network|geometric",
        help="What links: the network that the kiosk hosts (the default, if there is one), or"
        " positions and shapes alone, which is faster.",
        rich_help_panel=LINKING,
        show_default=False,
    ),
]
LongestGap = Annotated[
    int,
    typer.Option(
        "--longest-gap",
        min=0,
        metavar="FRAMES",
        help="Most frames in a row that a cell may be missed in, up to 3.",
        rich_help_panel=LINKING,
    ),
]
ReachPx = Annotated[
    float,
    typer.Option(
        min=0,
        metavar="NUMBER",
        help="Longest way of a cell from one frame to the next, in pixels; by itself from sizes"
        " and spacing.",
        rich_help_panel=LINKING,
        show_default=False,
    ),
]
Divisions = Annotated[
    bool, typer.Option("--divisions/--no-divisions", help="Cells divide.", rich_help_panel=LINKING)
]
Drift = Annotated[
    bool,
    typer.Option(
        "--drift/--no-drift",
        help="Take off what the whole frame has moved before linking.",
        rich_help_panel=LINKING,
    ),
]
Mend = Annotated[
    bool,
    typer.Option(
        "--mend/--no-mend",
        help="Mend cells that the model has cut or run together in single frames.",
        rich_help_panel=WHAT,
    ),
]
TrackFormats = Annotated[
    list[str] | None,
    typer.Option(
        "--format",
        metavar="NAME,...",
        help="Result files: labels, ctc, tracks, track-summary, doubtful, lineage,"
        " overlay, geff (the default), lineage-svg; or all.",
        rich_help_panel=RESULTS,
    ),
]


@app.command()
def track(
    movies: Annotated[
        list[str],
        typer.Argument(
            help="Movies: image stacks, addresses (s3://...), or folders of single frames, which"
            " are one movie in natural order of their names."
        ),
    ],
    model: Model = "nuclei",
    channel: Channel = "",
    labels: Labels = "",
    tracks: Tracks = "",
    keep_ids: KeepIds = False,
    mend: Mend = True,
    diameter_px: DiameterPx = 0.0,
    parameters: Parameters = None,
    linker: Linker = "",
    longest_gap: LongestGap = 1,
    reach_px: ReachPx = 0.0,
    divisions: Divisions = True,
    drift: Drift = True,
    axes: Axes = "",
    pixel_size_um: PixelSizeUm = 0.0,
    z_step_um: ZStepUm = 0.0,
    series: Series = 0,
    skip_bad_frames: SkipBadFrames = False,
    out: Out = Path("results"),
    formats: TrackFormats = None,
    overwrite: Overwrite = False,
    skip_existing: SkipExisting = False,
    server: Server = "",
) -> None:
    """Find the cells of a movie and follow them through time, with their daughters.

    Writes NAME_RES/ (masks and res_track.txt of the Cell Tracking Challenge), NAME_tracks.csv,
    NAME_track_summary.csv, NAME_doubtful_links.csv, NAME_labels.tif (a cell keeps its number),
    NAME_lineage.png, NAME_tracks.geff.zip and NAME_run.json.

    Example: `kiosk track movie.tif --out results`, or with labels of your own: `kiosk track frames/
    --labels masks/`. To correct: edit NAME_tracks.csv, then `kiosk track movie.tif --labels
    results/movie_labels.tif --tracks edited.csv --out corrected`
    """
    from kiosk.client_arguments import read_options
    from kiosk.movies import TrackRequest

    _check_names(movies, labels, tracks, keep_ids)
    sizes = {"pixel_size_um": pixel_size_um, "z_step_um": z_step_um}
    request = TrackRequest(
        out=out,
        labels=labels,
        tracks=tracks,
        reading=read_options(axes=axes, series=series, **sizes),
        skip_bad_frames=skip_bad_frames,
        options={
            "model": model,
            "channel": channel,
            "parameters": named_numbers(parameters, diameter_px),
            "formats": track_format_names(formats),
            "labels_are_tracks": keep_ids,
            "linker": linker,
            "longest_gap_frames": longest_gap,
            "reach_px": reach_px,
            "divisions": divisions,
            "correct_drift": drift,
            "mend": mend,
        },
        overwrite=overwrite,
        skip_existing=skip_existing,
    )
    _run(movies, request, server)


def _check_names(movies: list[str], labels: str, tracks: str, keep_ids: bool) -> None:
    """What can be said before a kiosk is asked."""
    if (tracks or keep_ids) and not labels:
        raise InvalidRequest("--tracks and --keep-ids need the --labels that they belong to.")
    for name in [*movies, *filter(None, (labels, tracks))]:
        if not is_address(name) and not Path(name).exists():
            raise InvalidRequest(f"The file '{name}' does not exist.")
    if tracks and (is_address(tracks) or Path(tracks).is_dir()):
        raise InvalidRequest(
            f"--tracks takes a table, a file on this machine; '{tracks}' is"
            f" {'an address' if is_address(tracks) else 'a folder'}."
        )


def _run(movies: list[str], request: TrackRequest, server: str) -> None:
    from kiosk.bootstrap import local_files
    from kiosk.movies import track_movies
    from kiosk.settings import Settings

    check_replacing(request.overwrite, request.skip_existing)
    files = local_files(Settings())
    outcomes = ask(server, lambda kiosk: track_movies(kiosk, movies, request, files, console))
    print_outcomes(outcomes, request.out, "movies")
