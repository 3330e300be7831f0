"""`kiosk simulate`: tables, files, pictures, and what it refuses."""

from __future__ import annotations

import csv
import json
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

from kiosk.cli import app
from kiosk.errors import KioskError
from kiosk.simulation import picture
from kiosk.simulation.arrivals import Arrival, Trace
from kiosk.simulation.engine import run
from kiosk.simulation.figures import Figures, figures_of
from kiosk.simulation.policies import default_names, policy_named
from kiosk.simulation.prices import Prices
from kiosk.simulation.report import duration, markdown, print_report
from kiosk.simulation.scenario import Scenario

HEADER = "time_s,images,megapixels,priority\n"
SHORT = HEADER + "0,500,1,batch\n600,20,1,interactive\n1200,2000,1,batch\n"


@pytest.fixture
def short(tmp_path: Path) -> Path:
    path = tmp_path / "short.csv"
    path.write_text(SHORT)
    return path


def simulate(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["simulate", *map(str, arguments)])


def test_a_file_under_every_policy_as_json(short: Path) -> None:
    done = simulate("--trace", short, "--json")
    assert done.exit_code == 0, done.output
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    assert [row["policy"] for row in rows] == [
        "kiosk",
        "deepcell",
        "keda:1890",
        "fixed:8",
        "fixed:4",
    ]
    assert {(row["trace"], row["images"], row["undone"]) for row in rows} == {("short", 2520, 0)}
    # What is always there is the quickest.
    assert min(rows, key=lambda row: float(row["wait_p95_s"]))["policy"] == "fixed:8"


def test_the_seed_makes_the_difference(short: Path) -> None:
    arguments = ("--trace", short, "--policy", "kiosk", "--json", "--seed")
    assert simulate(*arguments, 3).stdout == simulate(*arguments, 3).stdout
    assert simulate(*arguments, 3).stdout != simulate(*arguments, 4).stdout


def test_our_policy_has_the_settings_of_the_autoscaler(
    short: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("--trace", short, "--policy", "kiosk", "--json")
    monkeypatch.setenv("KIOSK_AUTOSCALER__DRAIN_S", "30")
    quick = json.loads(simulate(*arguments).stdout)
    monkeypatch.setenv("KIOSK_AUTOSCALER__DRAIN_S", "9999")
    slow = json.loads(simulate(*arguments).stdout)
    assert quick[0]["peak_gpus"] > slow[0]["peak_gpus"] == 1


def test_the_examples_of_prices_are_a_price_file(short: Path, tmp_path: Path) -> None:
    shown = simulate("--show-prices").stdout
    assert "aim" in tomllib.loads(shown)
    copied = tmp_path / "my.toml"
    copied.write_text(shown)
    arguments = ("--trace", short, "--policy", "kiosk", "--json")
    assert simulate(*arguments, "--prices", copied).stdout == simulate(*arguments).stdout


def test_files_and_a_picture(short: Path, tmp_path: Path) -> None:
    out = tmp_path / "made" / "here"
    chosen = ("--policy", "fixed:2", "--policy", "kiosk", "--startup-s", 300, "--max-gpus", 3)
    done = simulate("--trace", short, *chosen, "--out", out)
    assert done.exit_code == 0, done.output
    assert "fixed:2" in done.stdout
    assert sorted(path.name for path in out.iterdir()) == [
        *("figures.csv", "figures.json", "short.png", "table.md")
    ]
    rows = list(csv.DictReader((out / "figures.csv").open()))
    assert [row["policy"] for row in rows] == ["fixed:2", "kiosk"]
    assert json.loads((out / "figures.json").read_text())[1]["peak_gpus"] <= 3
    drawn = np.asarray(Image.open(out / "short.png").convert("RGB"))
    for colour in (picture.OPEN, picture.SERVING):
        assert (drawn == colour).all(axis=-1).any()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--trace", "lunch"), "no trace 'lunch'"),
        (("--trace", "none.csv"), "cannot be read"),
        (("--policy", "magic"), "no policy 'magic'"),
        (("--rates", "mine"), "no table 'mine'"),
        (("--prices", "none.toml"), "cannot be read"),
        (("--startup-s", "soon"), "300 or 90-600"),
        (("--startup-s", "600-90"), "300 or 90-600"),
    ],
)
def test_what_cannot_be_is_one_sentence(arguments: tuple[str, str], sentence: str) -> None:
    done = simulate(*arguments)
    assert isinstance(done.exception, KioskError)
    assert sentence in done.exception.message


def both_kinds() -> list[Figures]:
    scenario = Scenario(
        prices=Prices(
            megapixels_per_gpu_s=6.3,
            consumers_per_gpu=4,
            dollars_per_gpu_node_h=100,
            dollars_per_consumer_h=1,
        )
    )
    came = [Arrival(0, 100_000), Arrival(0, 10, is_interactive=True)]
    trace = Trace("burst", came, 86_400)
    names = default_names(scenario)
    return [figures_of(run(trace, policy_named(name, scenario), scenario)) for name in names]


def test_a_terminal_of_80_letters_is_wide_enough() -> None:
    console = Console(width=80, record=True, quiet=True)
    console.quiet = False
    with console.capture() as shown:
        print_report(both_kinds(), console)
    text = shown.get()
    assert "…" not in text
    assert "keda:1890" in text
    assert "Published for the burst" in text


def test_the_table_for_documents_has_a_row_per_policy() -> None:
    lines = markdown(both_kinds()).strip().splitlines()
    assert lines[0] == "### burst: 100,010 images"
    assert len(lines) == 2 + 2 + 5
    assert len({line.count("|") for line in lines[2:]}) == 1


def test_durations_for_people() -> None:
    shown = [duration(s) for s in (None, 0.4, 89, 90, 599, 5400, 36_000)]
    assert shown == ["-", "0 s", "89 s", "1.5 min", "10 min", "1.5 h", "10 h"]


def test_pictures_keep_short_peaks() -> None:
    times, values = picture.held([0, 10, 10.001, 50], [1, 9, 2, 2], 100)
    assert (values.max(), values[0], values[-1], times[-1]) == (9, 1, 2, 100)
    edges, slope = picture.sloping([0, 50, 100], [0, 100, 0], 100)
    assert slope[edges == 50] == 100
    assert slope[edges == 25] == pytest.approx(50)
