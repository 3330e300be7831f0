"""The doctor answers every question in one sentence and never with a traceback."""

import json
import socket
from pathlib import Path

import pytest

from kiosk import doctor
from kiosk.errors import PermanentError
from kiosk.machine import find_redis_server, port_is_free, running, server_files
from kiosk.settings import LocalSettings, ServerSettings, Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        home=tmp_path / "home",
        model_repository=tmp_path / "models",
        local=LocalSettings(servers_dir=tmp_path / "servers"),
        listen=ServerSettings(web_port=0, grpc_port=0),
    )


@pytest.fixture
def taken_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def add_model(repository: Path, name: str, weights: bytes | None) -> None:
    (repository / name / "1").mkdir(parents=True)
    (repository / name / "config.pbtxt").touch()
    if weights is not None:
        (repository / name / "1" / "model.onnx").write_bytes(weights)


def fake_redis(folder: Path, version: str) -> Path:
    binary = folder / "redis-server"
    binary.write_text(f"#!/bin/sh\necho 'Redis server v={version} sha=0'\n")
    binary.chmod(0o755)
    return binary


def test_bare_machine_gets_sentences_that_say_what_to_do(settings: Settings):
    answers = {answer.name: answer for answer in doctor.check(settings)}
    assert not answers["Triton"].ok
    assert "make setup" in answers["Triton"].sentence
    assert not answers["models"].ok
    assert answers["Python"].ok
    assert answers["kiosk"].ok
    assert all(answer.sentence.endswith(".") for answer in answers.values())


def test_old_python_is_refused():
    ok, sentence = doctor.python_version((3, 9))
    assert not ok
    assert "3.9" in sentence


def test_models_without_weights_are_named(tmp_path: Path):
    add_model(tmp_path, "cells", b"onnx")
    assert doctor.models(tmp_path) == (True, "Models with weights: cells.")
    add_model(tmp_path, "empty", None)
    add_model(tmp_path, "pointer", b"version https://git-lfs.github.com/spec/v1\n")
    ok, sentence = doctor.models(tmp_path)
    assert not ok
    assert "empty, pointer" in sentence


def test_port_in_use_names_the_setting(settings: Settings, taken_port: int):
    assert not port_is_free("127.0.0.1", taken_port)
    busy = settings.model_copy(update={"listen": ServerSettings(web_port=taken_port)})
    ok, sentence = doctor.ports(busy)
    assert not ok
    assert "KIOSK_LISTEN__WEB_PORT" in sentence


def test_too_little_room_is_told(tmp_path: Path):
    assert doctor.disk(tmp_path / "not" / "yet", needed_bytes=0)[0]
    assert not doctor.disk(tmp_path, needed_bytes=2**62)[0]
    ok, sentence = doctor.shared_memory(tmp_path, needed_bytes=2**62)
    assert not ok
    assert "--shm-size" in sentence


def test_what_a_killed_kiosk_left_behind_does_not_count(settings: Settings):
    folder = settings.home / "run"
    folder.mkdir(parents=True)
    (folder / "lock").write_text("1")
    facts = dict.fromkeys(["web_url", "grpc_address", "redis_url", "triton_address"], "x:1")
    (folder / "kiosk.json").write_text(json.dumps({"pid": 1, **facts}))
    assert running(settings.home) is None


def test_old_redis_on_the_path_is_passed_over(tmp_path: Path, monkeypatch):
    for name in ("old", "bundled"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'old'}:/usr/bin:/bin")
    bundled = fake_redis(tmp_path / "bundled", "6.2.14")
    old = fake_redis(tmp_path / "old", "5.0.7")
    assert find_redis_server(bundled) == bundled
    fake_redis(tmp_path / "old", "7.4.0")
    assert find_redis_server(bundled) == old
    fake_redis(tmp_path / "old", "5.0.7")
    with pytest.raises(PermanentError, match="make setup"):
        find_redis_server(tmp_path / "missing")


def test_servers_that_were_deleted_are_noticed(tmp_path: Path):
    names = ("triton", "backend_directory", "redis_server", "python", "libpython")
    facts = {name: str(tmp_path / name) for name in names}
    (tmp_path / "servers.json").write_text(json.dumps({**facts, "library_path": []}))
    with pytest.raises(PermanentError, match="make setup"):
        server_files(tmp_path)
