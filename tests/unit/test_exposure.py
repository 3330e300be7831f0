"""Where a server may listen without asking anybody who they are."""

from __future__ import annotations

from typing import Any

import pytest

from kiosk.errors import PermanentError
from kiosk.exposure import check_exposure
from kiosk.settings import AuthSettings, ServerSettings, Settings


def settings_for(host: str, **auth: Any) -> Settings:
    return Settings(listen=ServerSettings(host=host), auth=AuthSettings(**auth))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "localhost", "::1", "[::1]"])
def test_loopback_asks_nobody(host: str) -> None:
    check_exposure(settings_for(host))


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "10.1.2.3", "kiosk.lab.example", "", "127.0.0.1.evil.example"]
)
def test_elsewhere_somebody_has_to_decide(host: str) -> None:
    with pytest.raises(PermanentError) as caught:
        check_exposure(settings_for(host))
    for word in ("KIOSK_AUTH__REQUIRED", "kiosk keys create", "--insecure"):
        assert word in caught.value.message
    check_exposure(settings_for(host, required=True))
    check_exposure(settings_for(host, insecure=True))


@pytest.mark.parametrize(
    "auth",
    [
        {"oidc_issuer": "https://id.lab.example"},  # for whom?
        {"oidc_issuer": "http://id.lab.example", "oidc_audience": "kiosk"},  # readable on the way
        {"oidc_issuer": "http://localhost.evil.example", "oidc_audience": "kiosk"},
        {"oidc_admin_claim": "groups"},
    ],
)
def test_settings_that_would_open_more_than_meant(auth: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="oidc"):
        AuthSettings(**auth)  # type: ignore[arg-type]
