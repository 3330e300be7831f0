"""Documents stay true: Python blocks compile and use what exists, commands and links exist."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import typer.main

from kiosk import client, segmentation
from kiosk.cli import app
from kiosk.errors import PermanentError
from kiosk.exports import FORMATS
from kiosk.heads import HEADS
from kiosk.imaging.columns import MEANINGS
from kiosk.imaging.instances import InstanceParameters
from kiosk.imaging.measurements import (
    INTENSITY_COLUMNS,
    MICROMETRE_COLUMNS,
    SHAPE_COLUMNS,
)
from kiosk.imaging.volume_measurements import VOLUME_COLUMNS, VOLUME_MICROMETRE_COLUMNS
from kiosk.model_check import check_model
from kiosk.parameters import parameters_of

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("training/*.md")])
COMMANDS = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def blocks(path: Path, language: str) -> list[str]:
    found = re.findall(rf"^ *```{language}\n(.*?)^ *```", path.read_text(), re.M | re.S)
    return [re.sub(r"^   ", "", block, flags=re.M) if block.startswith("   ") else block
            for block in found]  # fmt: skip


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_python_blocks_use_methods_that_exist(path: Path) -> None:
    for block in blocks(path, "python"):
        for node in ast.walk(ast.parse(block)):
            if not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Name):
                continue
            if node.value.id == "kiosk" and isinstance(node.ctx, ast.Load):
                assert hasattr(client.AsyncKiosk, node.attr), node.attr
            if node.value.id == "result":
                assert hasattr(segmentation.Segmentation, node.attr), node.attr


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_shell_blocks_use_commands_that_exist(path: Path) -> None:
    for block in blocks(path, "sh"):
        # `kubectl -n kiosk ...` names the namespace.
        for command in re.findall(r"^[^#\n]*?(?:bin/|(?<!-n) |^)kiosk ([a-z]+)\b", block, re.M):
            assert command in COMMANDS, command
        for target in re.findall(r"^make ([a-z-]+)", block, re.M):
            assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.M), target


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
        if "://" not in target:
            assert (path.parent / target).exists(), target


def test_every_column_is_documented() -> None:
    text = (ROOT / "docs/reference/results.md").read_text()
    in_2d, in_3d = text.split("## What do the columns mean?")[1].split("## Objects in 3-D")
    for name in ("t", "z", *SHAPE_COLUMNS, *MICROMETRE_COLUMNS, *INTENSITY_COLUMNS, "within"):
        assert f"`{name}`" in in_2d, name
    for name in (*VOLUME_COLUMNS, *VOLUME_MICROMETRE_COLUMNS):
        assert f"`{name}`" in in_3d, name
    for part, known in (
        (in_2d, MEANINGS),
        (in_3d, {**VOLUME_COLUMNS, **VOLUME_MICROMETRE_COLUMNS}),
    ):
        for row in re.findall(r"^\| (`.+?) \|", part, re.M):
            for name in re.findall(r"`(\w+)`", row):
                assert name in known, name


def test_every_result_format_is_documented() -> None:
    text = (ROOT / "docs/reference/results.md").read_text()
    how_to = (ROOT / "docs/how-to.md").read_text()
    for name, item in FORMATS.items():
        assert f"| `{name}` | `NAME{item.ending}` |" in text, name
        assert f"`{name}`" in how_to, name
    named = re.findall(r"^\| `([\w-]+)` \| `NAME", text, re.M)
    assert named == list(FORMATS)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_shell_blocks_use_options_that_exist(path: Path) -> None:
    for block in blocks(path, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            found = re.search(r"(?:bin/|(?<!-n) |^)kiosk (\w+)(.*)", line.split("#")[0])
            if not found:
                continue
            command = typer.main.get_command(app).commands[found.group(1)]  # type: ignore[attr-defined]
            commands = [command, *getattr(command, "commands", {}).values()]
            known = {option for item in commands for param in item.params for option in param.opts}
            for option in re.findall(r"(?<= )--[\w-]+", found.group(2)):
                assert option in known, line


def test_names_of_formats_in_shell_blocks_exist() -> None:
    for path in DOCUMENTS:
        for block in blocks(path, "sh"):
            for names in re.findall(r"--format (\S+)", block):
                assert set(names.split(",")) <= {*FORMATS, "all"}, names


@pytest.mark.parametrize("head", HEADS)
def test_the_table_of_parameters_is_the_one_in_the_reference(head: str) -> None:
    text = (ROOT / "docs/reference/post-processing.md").read_text()
    section = text.split(f": `{head}`\n")[1].split("\n## ")[0]
    for item in parameters_of(HEADS[head].parameters):
        values = f"{item.default:g} | {item.minimum:g} to {item.maximum:g} | {item.unit}"
        assert f"| `{item.name}` | {values} | {item.meaning} |" in section
    for spec in HEADS[head].maps:
        assert f"| `{spec.name}` |" in section


def test_the_example_configurations_pass_the_check(tmp_path: Path) -> None:
    page = ROOT / "docs/bring-your-own-network.md"
    common = re.search(r"every model needs\n+```\n(.*?)```", page.read_text(), re.S)
    assert common
    examples = blocks(page, "pbtxt")
    assert len(HEADS) == len(examples)
    folder = tmp_path / "mine"
    (folder / "1").mkdir(parents=True)
    (folder / "1" / "model.onnx").write_bytes(b"weights")
    for example in examples:
        (folder / "config.pbtxt").write_text(example + common.group(1))
        faults = [check.sentence for check in check_model(folder, no_network) if not check.ok]
        assert faults == ["not run"], example


def no_network(weights: Path, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    raise PermanentError("not run")


def test_every_parameter_is_documented() -> None:
    text = (ROOT / "docs/how-to.md").read_text()
    for name in InstanceParameters.__dataclass_fields__:
        assert f"`{name}`" in text, name
