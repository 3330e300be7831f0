"""Addresses in place of uploads: nothing outside of the allowed places is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from kiosk.callers import LOCAL
from kiosk.errors import InvalidRequest
from kiosk.linked import check_url
from kiosk.settings import Settings
from kiosk.testing import MemoryStore
from kiosk.uploads import Uploads

LAB = ["s3://lab-images/", "gs://lab/2026", "s3://other/plates/"]


@pytest.mark.parametrize(
    "url",
    [
        "s3://lab-images/a.tif",
        "s3://lab-images/2026/plate.ome.zarr",
        "s3://lab-images/with%20space.tif",
        "gs://lab/2026/a.tif",
        "gs://lab/2026",
        "s3://other/plates/a..b/c...tif",
    ],
)
def test_places_below_an_allowed_one(url: str) -> None:
    check_url(url, LAB)


@pytest.mark.parametrize(
    "url",
    [
        "s3://lab-images-evil/a.tif",  # begins alike
        "s3://lab-imagesX",
        "gs://lab-images/a.tif",  # another scheme
        "gs://lab/2026-secret/a.tif",
        "gs://lab/2025/a.tif",
        "gs://lab/2026/../2025/a.tif",
        "gs://lab/2026/%2e%2e/2025/a.tif",
        "gs://lab/2026/./a.tif",
        "s3://other/a.tif",
        "s3://Lab-Images/a.tif",
        "s3://lab-images:80/a.tif",
        "s3://lab-images@evil.example/a.tif",
        "s3://user:word@lab-images/a.tif",
        "s3://lab-images/a.tif?versionId=1",
        "s3://lab-images/a.tif#part",
        "s3:///lab-images/a.tif",
        "http://lab-images/a.tif",
        "https://169.254.169.254/latest/meta-data",
        "memory://lab-images/a.tif",
        "file:///etc/passwd",
        "/etc/passwd",
        "lab-images/a.tif",
        "s3:lab-images/a.tif",
        "",
        "://",
        "s3://lab-images/a\0.tif",
        "s3://lab-images/a%00.tif",
        "s3://[::1/a.tif",
        "s3://lab-images/a.tif\n",
        " s3://lab-images/a.tif",
        "s3://lab-images/.\t./a.tif",
        "fi\tle:///etc/passwd",
        "s3://lab-images/" + "a" * 5000,
    ],
)
def test_everything_else_is_refused_with_a_sentence(url: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_url(url, LAB)
    assert (caught.value.reason, caught.value.field) == ("URL_NOT_ALLOWED", "url")
    assert caught.value.message.endswith(".")


def test_nothing_is_allowed_unless_the_owner_says_so() -> None:
    with pytest.raises(InvalidRequest):
        check_url("s3://lab-images/a.tif", [])
    assert Settings.model_fields["image_urls"].default == ""


@pytest.fixture
def slides(tmp_path: Path) -> Path:
    folder = tmp_path / "slides"
    folder.mkdir()
    (folder / "a b.tif").write_bytes(b"x")
    (tmp_path / "slides-secret").mkdir()
    (tmp_path / "slides-secret" / "a.tif").write_bytes(b"x")
    return folder


@pytest.mark.parametrize("ending", ["", "/"])
def test_files_of_a_folder(slides: Path, ending: str) -> None:
    allowed = [slides.as_uri() + ending]
    check_url((slides / "a b.tif").as_uri(), allowed)
    check_url((slides / "not there yet.tif").as_uri(), allowed)
    for outside in (slides.parent / "slides-secret" / "a.tif", slides.parent / "slides-secret"):
        with pytest.raises(InvalidRequest):
            check_url(outside.as_uri(), allowed)


def test_links_do_not_lead_out_of_a_folder(slides: Path, tmp_path: Path) -> None:
    (slides / "out").symlink_to(tmp_path)
    (slides / "inside.tif").symlink_to(slides / "a b.tif")
    check_url((slides / "inside.tif").as_uri(), [slides.as_uri()])
    with pytest.raises(InvalidRequest):
        check_url((slides / "out" / "slides-secret" / "a.tif").as_uri(), [slides.as_uri()])


def test_an_allowed_folder_may_be_a_link_itself(slides: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(slides)
    for place in (slides, tmp_path / "link"):
        check_url((place / "a b.tif").as_uri(), [(tmp_path / "link").as_uri()])


# ---------------------------------------------------------------------- uploads


async def test_a_linked_upload_is_complete_at_once(slides: Path) -> None:
    store = MemoryStore()
    uploads = Uploads(store, 1000, 3600.0, f"s3://lab/ {slides.as_uri()}")
    upload = await uploads.link(slides.as_uri() + "/a%20b.tif", caller=LOCAL)
    assert upload.complete
    assert (await uploads.get(upload.id, caller=LOCAL)).file_name == "a b.tif"
    assert any(key.startswith("expiring/") for key in store.objects)
    named = await uploads.link("s3://lab/plate.ome.zarr/", file_name="my plate", caller=LOCAL)
    assert named.file_name == "my plate"
    assert (
        await uploads.link("s3://lab/plate.ome.zarr/", caller=LOCAL)
    ).file_name == "plate.ome.zarr"


async def test_a_place_that_is_not_allowed_leaves_nothing_behind() -> None:
    store = MemoryStore()
    with pytest.raises(InvalidRequest, match="KIOSK_IMAGE_URLS"):
        await Uploads(store, 1000, 3600.0, "s3://lab/").link("s3://lab-evil/a.tif", caller=LOCAL)
    assert not store.objects
