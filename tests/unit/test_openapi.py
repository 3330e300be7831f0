"""The document of the HTTP API is about the routes that there are, and about all of them."""

from __future__ import annotations

import re
from typing import Any

import aiohttp
import pytest
from raw_http import serving

from kiosk.adapters.image_files import ImageFileReader
from kiosk.authentication import Authentication
from kiosk.settings import CHECKOUT, LimitSettings
from kiosk.testing import FakeKiosk, make_kiosk
from kiosk.web import make_app
from kiosk.web.openapi import document

# The page and its files, which nobody programs against.
PAGES = {"/", "/compare", "/jobs/{id}", "/s/{token}", "/static/{name}"}


@pytest.fixture
def kiosk() -> FakeKiosk:
    return make_kiosk(ImageFileReader(LimitSettings()))


def described() -> set[tuple[str, str]]:
    return {
        (method.upper(), path)
        for path, methods in document()["paths"].items()
        for method in methods
    }


def test_every_route_is_described_and_nothing_else(kiosk: FakeKiosk) -> None:
    tiles = kiosk.tiles()
    app = make_app(kiosk.service, tiles, Authentication(), CHECKOUT / "frontend")
    routes = {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None and route.resource.canonical not in PAGES
    }
    # aiohttp answers HEAD wherever there is GET; OPTIONS is the protocol's.
    implied = {("HEAD", path) for method, path in routes if method == "GET"}
    assert {r for r in routes - implied if r[0] != "OPTIONS"} == described()


def test_every_parameter_of_an_address_is_described() -> None:
    for path, methods in document()["paths"].items():
        for operation in methods.values():
            named = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
            assert named == set(re.findall(r"{(\w+)}", path)), path


def test_names_of_operations_are_unique_and_references_lead_somewhere() -> None:
    names = [
        op["operationId"] for methods in document()["paths"].values() for op in methods.values()
    ]
    assert len(names) == len(set(names))

    def check(value: Any) -> None:
        if isinstance(value, dict):
            if isinstance(reference := value.get("$ref"), str):
                found: Any = document()
                for step in reference.removeprefix("#/").split("/"):
                    found = found[step]
            for item in value.values():
                check(item)
        elif isinstance(value, list):
            for item in value:
                check(item)

    check(document())


async def test_the_document_is_served_to_everybody(kiosk: FakeKiosk) -> None:
    async with (
        serving(kiosk) as port,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http,
        http.get("/api/v1/openapi.json") as answer,
    ):
        assert answer.status == 200
        assert await answer.json() == document()
