"""Guards against drift: layers, generated code, light imports, settings, weights, documents."""

from __future__ import annotations

import ast
import hashlib
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from pydantic import BaseModel

from kiosk.adapters.redis_queue import script_sources
from kiosk.errors import KioskError
from kiosk.settings import Settings
from kiosk.wire import STATUS_OF_ERROR

ROOT = Path(__file__).resolve().parents[2]
# Variables of tests, which no kiosk reads.
OF_TESTS = {"KIOSK_TEST_KUBECONFIG"}
HEAVY = (
    "redis",
    "aiohttp",
    "tritonclient",
    "cv2",
    "skimage",
    "scipy",
    "imagecodecs",
    "obstore",
    "opentelemetry",
)


def run_python(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr or done.stdout
    return done.stdout


def test_imports_point_down_only() -> None:
    run_python(
        "-c", "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports())"
    )


def test_the_client_imports_nothing_heavy() -> None:
    loaded = run_python("-c", "import sys, kiosk.client; print(*sys.modules)").split()
    roots = {name.split(".")[0] for name in loaded}
    assert roots.isdisjoint(HEAVY), sorted(roots.intersection(HEAVY))


def test_what_sends_spans_is_loaded_only_where_they_are_sent() -> None:
    loaded = run_python("-c", "import sys, kiosk.bootstrap; print(*sys.modules)").split()
    assert "kiosk.tracing" in loaded
    assert not [name for name in loaded if name.startswith("opentelemetry.exporter")]


def test_generated_code_is_fresh(tmp_path: Path) -> None:
    run_python(
        *("-m", "grpc_tools.protoc", "-I", "kiosk/_proto=protos/kiosk/v1"),
        *(f"--python_out={tmp_path}", f"--pyi_out={tmp_path}", f"--grpc_python_out={tmp_path}"),
        "kiosk/_proto/kiosk.proto",
    )
    for name in ("kiosk_pb2.py", "kiosk_pb2.pyi", "kiosk_pb2_grpc.py"):
        fresh = (tmp_path / "kiosk/_proto" / name).read_text()
        assert fresh == (ROOT / "kiosk/_proto" / name).read_text(), "run `make protos`"


def test_every_field_and_method_of_the_api_has_a_comment() -> None:
    lines = (ROOT / "protos/kiosk/v1/kiosk.proto").read_text().splitlines()
    bare = []
    for before, line in pairwise(lines):
        is_item = re.match(r"\s+(rpc |[\w.<>, ]+ \w+ = \d+;|[A-Z_]+ = \d+;)", line)
        follows_comment = before.strip().startswith("//")
        # Two fields that belong together share one comment.
        follows_item = re.match(r"\s+[\w.<>, ]+ \w+ = \d+;", before)
        if is_item and not follows_comment and not follows_item:
            bare.append(line.strip())
    assert bare == []


def test_no_file_and_no_function_is_too_long() -> None:
    for path in sorted((ROOT / "kiosk").rglob("*.py")):
        if "_proto" in path.parts:
            continue
        text = path.read_text()
        assert len(text.splitlines()) <= 500, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1
                assert length <= 70, f"{path}:{node.lineno} {node.name} has {length} lines"


def test_only_settings_reads_the_environment() -> None:
    for path in sorted((ROOT / "kiosk").rglob("*.py")):
        if path == ROOT / "kiosk/settings/__init__.py":
            continue
        assert "os.environ" not in path.read_text(), path
        assert "getenv" not in path.read_text(), path


def setting_names(group: BaseModel, prefix: str = "KIOSK_") -> set[str]:
    names = set()
    for name in type(group).model_fields:
        value = getattr(group, name)
        full = f"{prefix}{name.upper()}"
        names |= setting_names(value, f"{full}__") if isinstance(value, BaseModel) else {full}
    return names


def test_every_kiosk_variable_that_is_named_is_a_setting() -> None:
    known = setting_names(Settings()) | OF_TESTS
    files = [
        p
        for pattern in ("*.md", "docs/**/*.md", "kiosk/**/*.py", "deploy/**/*", "Makefile")
        for p in ROOT.glob(pattern)
        if p.is_file()
    ]
    for path in files:
        for name in re.findall(r"\bKIOSK_[A-Z0-9_]*[A-Z0-9]\b", path.read_text(errors="ignore")):
            assert name in known or any(k.startswith(f"{name}__") for k in known), (path, name)


def test_every_setting_says_what_it_is_for() -> None:
    def check(group: BaseModel) -> None:
        for name, info in type(group).model_fields.items():
            value = getattr(group, name)
            if isinstance(value, BaseModel):
                check(value)
            else:
                assert info.description, name

    check(Settings())


def test_every_error_has_a_status() -> None:
    def family(kind: type[KioskError]) -> set[type[KioskError]]:
        return {kind}.union(*(family(sub) for sub in kind.__subclasses__()))

    for kind in family(KioskError):
        assert any(base in STATUS_OF_ERROR for base in kind.__mro__[:2]), kind


def test_every_script_says_what_it_takes_and_gives() -> None:
    folder = ROOT / "kiosk/adapters/lua"
    for name in script_sources():
        head = (folder / f"{name}.lua").read_text()[:400]
        assert "ARGV: prefix" in head, name
        assert "Returns" in head or "Return" in head, name


@pytest.mark.parametrize("config", sorted(ROOT.glob("model_repository/*/config.pbtxt")), ids=str)
def test_weights_are_the_ones_that_the_configuration_names(config: Path) -> None:
    text = config.read_text()
    versions = sorted(p.name for p in config.parent.iterdir() if p.name.isdigit())
    assert versions
    assert (config.parent / "README.md").exists(), "a model needs its card"
    for version in versions:
        weights = (config.parent / version / "model.onnx").read_bytes()
        digest = hashlib.sha256(weights).hexdigest()
        assert f'kiosk.weights_sha256.{version}" value {{ string_value: "{digest}"' in text


def test_the_changelog_names_the_version() -> None:
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.M)
    assert version
    assert f"## {version.group(1)}" in (ROOT / "CHANGELOG.md").read_text()
