"""The files of the web page: which addresses have them, and how long browsers keep them."""

from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from kiosk.settings import CHECKOUT
from kiosk.web.answers import add_headers
from kiosk.web.page import Page

HASHED = "index-BX0d-fW_.js"


@pytest.fixture
async def browser(tmp_path: Path):
    frontend = tmp_path / "dist"
    frontend.mkdir()
    (frontend / "index.html").write_text("<!doctype html>")
    (frontend / HASHED).write_text("export {};")
    (frontend / "licenses.md").write_text("# Licences")
    (tmp_path / "secret.txt").write_text("secret")
    app = web.Application()
    app.on_response_prepare.append(add_headers)
    Page(frontend).add_to(app)
    async with TestClient(TestServer(app)) as client:
        yield client


@pytest.mark.parametrize("address", ["/", "/jobs/some-id", "/compare?job=a&with=jobs/b"])
async def test_every_page_is_the_same_file_and_asked_for_each_time(browser, address):
    answer = await browser.get(address)
    assert answer.content_type == "text/html"
    assert answer.headers["Cache-Control"] == "no-cache"
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]


async def test_a_file_with_a_hash_in_its_name_is_kept(browser):
    answer = await browser.get(f"/static/{HASHED}")
    assert answer.content_type in ("text/javascript", "application/javascript")
    assert "immutable" in answer.headers["Cache-Control"]


async def test_scripts_are_sent_packed_to_who_takes_that(browser):
    packed = await browser.get(f"/static/{HASHED}", headers={"Accept-Encoding": "gzip, br"})
    plain = await browser.get(f"/static/{HASHED}", headers={"Accept-Encoding": "identity"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.headers["Vary"] == "Accept-Encoding"
    assert "Content-Encoding" not in plain.headers
    assert await packed.text() == await plain.text() == "export {};"


async def test_other_files_are_asked_for_each_time(browser):
    answer = await browser.get("/static/licenses.md")
    assert answer.headers["Cache-Control"] == "no-cache"
    known = {"If-None-Match": answer.headers["ETag"]}
    again = await browser.get("/static/licenses.md", headers=known)
    assert again.status == 304


@pytest.mark.parametrize("name", ["absent.js", "..%2fsecret.txt", "%2e%2e/secret.txt", ""])
async def test_nothing_else_is_served(browser, name):
    assert (await browser.get(f"/static/{name}")).status == 404


def test_no_script_makes_html_of_data():
    words = ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(")
    scripts = [*(CHECKOUT / "frontend" / "src").rglob("*.ts*")]
    assert scripts
    assert not [path for path in scripts if any(word in path.read_text() for word in words)]


def test_the_page_has_nothing_inline():
    """The content security policy would block it."""
    text = (CHECKOUT / "frontend" / "index.html").read_text()
    assert not [word for word in ("style=", "<style", "<script>") if word in text]
