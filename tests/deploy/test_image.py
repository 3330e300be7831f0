"""The image for all roles: what it is made of, and that its settings are ours."""

from __future__ import annotations

import re
import tomllib

import pytest

from kiosk.settings import Settings
from tests.deploy.rendering import DEPLOY, ROOT
from tests.guards.test_guards import setting_names

TEXT = (DEPLOY / "Containerfile").read_text()
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def arguments() -> dict[str, str]:
    return dict(re.findall(r"^ARG (\w+)=(.+)$", TEXT, re.M))


def test_it_is_of_this_version() -> None:
    assert arguments()["VERSION"] == VERSION


def test_its_base_can_be_pinned_and_has_a_tag() -> None:
    assert set(re.findall(r"^FROM (\S+)", TEXT, re.M)) == {"${PYTHON_IMAGE}"}
    assert re.fullmatch(r"[\w./-]+:[\w.-]+", arguments()["PYTHON_IMAGE"])
    assert "latest" not in arguments()["PYTHON_IMAGE"]


def test_what_it_installs_is_pinned_by_hashes() -> None:
    assert "--require-hashes" in TEXT
    for lock in arguments()["LOCKS"].split():
        assert "--hash=sha256:" in (ROOT / lock).read_text()
    names = re.findall(r"^([\w-]+)==", (ROOT / "requirements-cluster.lock").read_text(), re.M)
    assert "kubernetes" in names, "the autoscaler needs it"


def test_it_runs_as_a_user_by_number() -> None:
    """A name would not tell Kubernetes whether it is root."""
    assert re.findall(r"^USER (.+)$", TEXT, re.M) == ["10001:10001"]


def test_the_package_has_all_that_is_no_python() -> None:
    """What is installed in the image is no checkout."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"]["kiosk"]
    shipped = {path for pattern in patterns for path in (ROOT / "kiosk").glob(pattern)}
    files = {path for path in (ROOT / "kiosk").rglob("*") if path.is_file()}
    code = {path for path in files if path.suffix in {".py", ".pyi", ".pyc"}}
    assert shipped == files - code


def test_its_variables_are_settings() -> None:
    names = set(re.findall(r"\b(KIOSK_\w+)=", TEXT))
    assert names <= setting_names(Settings())
    assert {"KIOSK_HOME", "KIOSK_SCRATCH_DIR", "KIOSK_FRONTEND", "KIOSK_MODEL_REPOSITORY"} <= names


def test_it_says_which_ports_the_roles_have(monkeypatch: pytest.MonkeyPatch) -> None:
    listen = Settings().listen
    ports = re.findall(r"^EXPOSE (.+)$", TEXT, re.M)[0].split()
    assert ports[:2] == [str(listen.grpc_port), str(listen.web_port)]


def test_only_what_is_named_gets_into_the_image() -> None:
    """The build sees nothing but what .dockerignore lets through, and all that it copies."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    seen = {rule[1:] for rule in rules if rule.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", TEXT, re.M)
    for source in " ".join(copied).split():
        matching = list(ROOT.glob(source))
        assert matching, source
        if "*" not in source:
            assert source in seen, source
    assert not {"deploy", "tests", ".git", "results"} & seen
