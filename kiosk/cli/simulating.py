"""`kiosk simulate`: what the autoscaler would do with arrivals, and what it would cost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kiosk.cli.terminal import app, console, errors
from kiosk.errors import InvalidRequest
from kiosk.settings import Settings

if TYPE_CHECKING:
    from kiosk.scaling import ScalingPolicy
    from kiosk.simulation.arrivals import Trace
    from kiosk.simulation.engine import Run
    from kiosk.simulation.scenario import Scenario

Traces = Annotated[
    list[str] | None,
    typer.Option(
        "--trace",
        metavar="NAME|FILE.csv",
        help="Arrivals: burst, screen, interactive, mixture, or a CSV file with the columns"
        " time_s, images, megapixels, priority. May be repeated. Default: these four.",
    ),
]
Policies = Annotated[
    list[str] | None,
    typer.Option(
        "--policy",
        metavar="NAME[:NUMBER]",
        help="kiosk (what `kiosk autoscaler` does), deepcell, keda[:PARTS per Triton replica],"
        " fixed[:GPU nodes]. May be repeated. Default: all, fixed with all and half of the"
        " nodes.",
    ),
]
PriceFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.toml",
        help="Rates and prices. Default: the examples that come with the kiosk; --show-prices"
        " prints them, to be copied and filled with yours.",
    ),
]
Rates = Annotated[str, typer.Option(metavar="TABLE", help="Table of the price file.")]
StartupText = Annotated[
    str,
    typer.Option(
        metavar="S|LOW-HIGH",
        help="Seconds until a GPU node serves; each within the two is as likely.",
    ),
]
Preemptions = Annotated[
    float, typer.Option(min=0, help="How often a GPU node is taken away per hour.")
]
NodeIdleS = Annotated[
    float, typer.Option(min=0, help="Seconds that a GPU node is paid after its Triton is gone.")
]
BetweenZones = Annotated[
    float, typer.Option(min=0, max=1, help="Share of the tensors that cross zones, and cost.")
]
Out = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER", help="Write figures.json, figures.csv, table.md and a PNG per trace."
    ),
]


@app.command()
def simulate(
    trace: Traces = None,
    policy: Policies = None,
    prices: PriceFile = None,
    rates: Rates = "published",
    max_gpus: Annotated[int, typer.Option(min=1, help="Most GPU nodes.")] = 8,
    startup_s: StartupText = "90-600",
    preemptions_per_h: Preemptions = 0.05,
    node_idle_s: NodeIdleS = 600.0,
    between_zones: BetweenZones = 0.0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same figures.")] = 1,
    out: Out = None,
    show_prices: Annotated[
        bool, typer.Option("--show-prices", help="Print the examples of prices, nothing else.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Try scaling policies against arrivals: waits, GPU hours and dollars, without a cluster.

    The policy `kiosk` is the very function that `kiosk autoscaler` runs, with its settings
    (KIOSK_AUTOSCALER__...). Node start-up, preemption and billing are simulated; rates and prices
    are examples from a file, to be replaced by yours.

    Examples:

    `kiosk simulate` shows four traces under five policies (about half a minute).

    `kiosk simulate --trace burst --policy kiosk --policy keda:1000 --max-gpus 4`

    `KIOSK_AUTOSCALER__DRAIN_S=60 kiosk simulate --trace screen --policy kiosk`

    `kiosk simulate --show-prices > my.toml`

    `kiosk simulate --trace week.csv --prices my.toml --rates mine --out simulation`, where week.csv
    has lines as `3600,25,1.4,interactive` below `time_s,images,megapixels,priority`.
    """
    from kiosk.bootstrap import make_scaling_policy
    from kiosk.simulation.policies import default_names, policy_named
    from kiosk.simulation.prices import SHIPPED, read_prices
    from kiosk.simulation.scenario import Scenario

    if show_prices:
        print(SHIPPED.read_text(encoding="utf-8"), end="")
        return
    scenario = Scenario(
        prices=read_prices(prices or SHIPPED, rates),
        max_gpus=max_gpus,
        start_s=_seconds(startup_s),
        preemptions_per_node_h=preemptions_per_h,
        node_idle_s=node_idle_s,
        between_zones_ratio=between_zones,
    )
    names = policy or default_names(scenario)
    own = make_scaling_policy(Settings())
    for name in names:
        policy_named(name, scenario, own)
    traces = _traces(trace or [], seed)
    runs = _run_all(traces, names, scenario, own, seed)
    _show(runs, out, as_json)


def _seconds(text: str) -> tuple[float, float]:
    """(shortest, longest) of S or LOW-HIGH."""
    low, _, high = text.partition("-")
    try:
        found = float(low), float(high or low)
    except ValueError:
        found = (-1.0, -1.0)
    if not 0 <= found[0] <= found[1] < float("inf"):
        raise InvalidRequest(f"'{text}' is not of the form 300 or 90-600, in seconds.")
    return found


def _traces(texts: list[str], seed: int) -> list[Trace]:
    from kiosk.simulation.arrivals import TRACES, read_trace

    found = []
    for text in texts or TRACES:
        if text in TRACES:
            found.append(TRACES[text](seed))
        elif text.endswith(".csv"):
            found.append(read_trace(Path(text)))
        else:
            raise InvalidRequest(
                f"There is no trace '{text}'. Traces are {', '.join(TRACES)}, or a file that ends"
                " in .csv."
            )
    return found


def _run_all(
    traces: list[Trace], names: list[str], scenario: Scenario, own: ScalingPolicy, seed: int
) -> list[Run]:
    """Every trace under every policy, with a bar of progress on standard error."""
    from rich.progress import Progress

    from kiosk.simulation.engine import run
    from kiosk.simulation.policies import policy_named

    runs: list[Run] = []
    with Progress(console=errors, transient=True, disable=not errors.is_terminal) as progress:
        task = progress.add_task("", total=len(traces) * len(names))
        for trace in traces:
            for name in names:
                done = len(runs)
                progress.update(task, description=f"{trace.name}, {name}")

                def show(share: float, done: int = done) -> None:
                    progress.update(task, completed=done + share)

                policy = policy_named(name, scenario, own)
                runs.append(run(trace, policy, scenario, seed=seed, progress=show))
    return runs


def _show(runs: list[Run], out: Path | None, as_json: bool) -> None:
    from itertools import groupby

    from kiosk.simulation.figures import figures_of
    from kiosk.simulation.picture import write_picture
    from kiosk.simulation.report import as_rows, print_report, write_files

    figures = [figures_of(run) for run in runs]
    if as_json:
        print(json.dumps(as_rows(figures), indent=2))
    else:
        print_report(figures, console)
    if out is None:
        return
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_files(out, figures)
    except OSError as error:
        raise InvalidRequest(f"'{out}' cannot be written: {error.strerror}.") from error
    for name, several in groupby(runs, key=lambda run: run.trace.name):
        write_picture(out / f"{name}.png", list(several))
