"""Settings: from the environment, with limits, frozen, and without secrets in print."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from kiosk.settings import Settings, child_environment
from kiosk.settings.group import Group


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.upper().startswith("KIOSK_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)


def groups() -> Iterator[tuple[str, type[BaseModel]]]:
    for name, field in Settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Group):
            yield name, field.annotation


def test_defaults_of_the_commands(tmp_path: Path) -> None:
    settings = Settings()
    assert tmp_path / ".local" / "share" / "kiosk" == settings.home
    assert settings.server == "127.0.0.1:50051"
    assert (
        settings.listen.host,
        settings.listen.grpc_port,
        settings.listen.web_port,
    ) == ("127.0.0.1", 50051, 8080)
    assert str(settings.home / "objects") == settings.object_store_url


def test_home_follows_the_users_data_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert Path("/data/kiosk") == Settings().home


def test_environment_reaches_the_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIOSK_HOME", "/somewhere")
    monkeypatch.setenv("KIOSK_SERVER", "host:1")
    monkeypatch.setenv("KIOSK_LIMITS__UPLOAD_BYTES", "1000")
    monkeypatch.setenv("KIOSK_CONSUMER__BLOCK_PX", "2048")
    settings = Settings()
    assert (Path("/somewhere"), "host:1") == (settings.home, settings.server)
    assert (settings.limits.upload_bytes, settings.consumer.block_px) == (1000, 2048)
    assert settings.object_store_url == "/somewhere/objects"


def test_object_store_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIOSK_OBJECT_STORE", "s3://bucket/prefix")
    assert Settings().object_store_url == "s3://bucket/prefix"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KIOSK_LIMITS__UPLOAD_BYTES", "0"),
        ("KIOSK_LIMITS__PLANES", "-5"),
        ("KIOSK_QUEUE__ATTEMPTS", "0"),
        ("KIOSK_QUEUE__LEASE_S", "0"),
        ("KIOSK_QUEUE__LEASE_S", "soon"),
        ("KIOSK_QUEUE__WINDOW_PARTS", "0"),
        ("KIOSK_LISTEN__WEB_PORT", "70000"),
        ("KIOSK_CONSUMER__BLOCK_PX", "3"),
        ("KIOSK_LIMITS__NO_SUCH_LIMIT", "1"),
    ],
)
def test_values_that_cannot_be_are_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError):
        Settings()


def test_settings_are_frozen() -> None:
    settings = Settings()
    with pytest.raises(ValidationError):
        settings.home = Path("/x")  # type: ignore[misc]
    with pytest.raises(ValidationError):
        settings.limits.planes = 3  # type: ignore[misc]


def test_password_is_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIOSK_QUEUE__REDIS_URL", "redis://:secret-word@host:1/0")
    settings = Settings()
    assert "secret-word" not in repr(settings)
    assert "secret-word" not in settings.model_dump_json()
    assert "secret-word" in settings.queue.redis_url.get_secret_value()


@pytest.mark.parametrize(("name", "group"), list(groups()), ids=str)
def test_every_setting_of_a_group_is_explained(name: str, group: type[BaseModel]) -> None:
    silent = [field for field, info in group.model_fields.items() if not info.description]
    assert silent == [], name


def test_every_top_level_setting_is_explained() -> None:
    in_groups = {name for name, _ in groups()}
    silent = [
        name
        for name, info in Settings.model_fields.items()
        if name not in in_groups and not info.description
    ]
    assert silent == []


def test_units_are_in_the_names() -> None:
    """Every number says what it counts: _s, _px, _bytes, or a plain noun in the plural."""
    plain = {
        "planes",
        "unpack_ratio",
        "zip_entries",
        "zip_members",
        "open_jobs",
        "owner_open_jobs",
        "open_parts",
        "interactive_jobs",
        "owner_parts",
        "outages",
        "attempts",
        "window_parts",
        "parts_in_flight",
        "tiles_in_flight",
        "consumers",
        "grpc_port",
        "web_port",
        "port",
        "min_triton",
        "max_triton",
        "min_consumers",
        "consumers_per_triton",
        "most_cost_per_hour",  # in whatever currency
        "triton_cost_per_hour",
        "consumer_cost_per_hour",
        "default_px_per_slot_s",
    }
    for _, group in groups():
        for name, info in group.model_fields.items():
            if info.annotation in (int, float):
                assert name in plain or name.endswith(("_s", "_px", "_bytes", "_ratio")), name


def test_child_gets_our_environment_and_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIOSK_LOG_LEVEL", "DEBUG")
    environment = child_environment(Settings(), KIOSK_SERVER="other:1")
    assert (environment["KIOSK_LOG_LEVEL"], environment["KIOSK_SERVER"]) == ("DEBUG", "other:1")
    assert str(Settings().home) == environment["KIOSK_HOME"]
