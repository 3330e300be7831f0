"""The web page in a real browser: drop files, see progress, outlines and results.

Against the kiosk at KIOSK_TEST_URL when that is set, else against one over fakes in this process.
"""

import asyncio
import os
import zipfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tifffile
from chromium import EXECUTABLE, Page, chromium

from kiosk.adapters.image_files import ImageFileReader
from kiosk.authentication import Authentication
from kiosk.errors import TransientError
from kiosk.imaging.sample import make_sample
from kiosk.settings import CHECKOUT, LimitSettings
from kiosk.testing import FakeKiosk, make_kiosk
from kiosk.web import WebServer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(EXECUTABLE is None, reason="Chromium is not installed"),
]

HOSTILE = "<img src=x onerror=alert(1)>.tif"
WORDS = "document.body.innerText"


@dataclass
class Running:
    url: str
    fake: FakeKiosk | None


@pytest.fixture
async def kiosk() -> AsyncIterator[Running]:
    url = os.environ.get("KIOSK_TEST_URL", "")
    if url:
        yield Running(url.rstrip("/"), None)
        return
    fake = make_kiosk(ImageFileReader(LimitSettings()), upload_limit_bytes=100_000_000)
    tiles = fake.tiles()
    server = WebServer(fake.service, tiles, Authentication(), CHECKOUT / "frontend", "127.0.0.1", 0)
    await server.start()
    worker = asyncio.create_task(work(fake))
    yield Running(f"http://127.0.0.1:{server.port}", fake)
    worker.cancel()
    await server.stop()


async def work(fake: FakeKiosk) -> None:
    consumer = fake.consumer()
    while True:
        lease = await fake.queue.lease("consumer", 1.0)
        if lease is not None:
            await consumer.work(lease)


@pytest.fixture
async def page(tmp_path: Path, kiosk: Running) -> AsyncIterator[Page]:
    async with chromium(tmp_path / "profile") as page:
        await page.open(kiosk.url)
        await page.until("!document.querySelector('#model').disabled")
        yield page
        assert page.problems == []


def movie(path: Path, axes: str = "TYX", frames: int = 3) -> Path:
    images = make_sample(frames=frames, height_px=256, width_px=256, nuclei=15).images
    tifffile.imwrite(path, images, ome=True, metadata={"axes": axes})
    return path


def row(name: str) -> str:
    """Script for the row of a file, in either list."""
    return f"[...document.querySelectorAll('.row')].find(r => r.innerText.includes({name!r}))"


async def dropped(page: Page, path: Path) -> None:
    """Drop a file or folder on the page."""
    await page.evaluate("document.querySelector('#drop').scrollIntoView()")
    box = await page.evaluate("document.querySelector('#drop').getBoundingClientRect().toJSON()")
    data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
    place = {"x": box["x"] + 50, "y": box["y"] + 50, "data": data}
    for kind in ("dragEnter", "dragOver", "drop"):
        await page.send("Input.dispatchDragEvent", type=kind, **place)


async def test_from_dropped_folder_to_outlines_and_results(page: Page, tmp_path: Path):
    folder = tmp_path / "plate 1"
    (folder / "inner").mkdir(parents=True)
    movie(folder / "inner" / HOSTILE)
    (folder / ".DS_Store").write_bytes(b"x")
    (folder / "notes.txt").write_text("These are notes.")
    await dropped(page, folder)
    await page.until(f"{row(HOSTILE)}?.innerText.includes('Done')", 60)
    await page.until(f"{row('notes.txt')}?.innerText.includes('is a text file and no image')")
    assert ".DS_Store" not in await page.evaluate(WORDS)

    await page.evaluate(f"{row(HOSTILE)}.querySelector('a.name').click()")
    await page.until("document.querySelectorAll('#results li').length >= 4")
    await page.until("document.querySelector('#zoom').textContent")
    assert "1 of 3" in await page.evaluate("document.querySelector('#plane-text').textContent")
    shot_with = await pixels(page)
    await page.evaluate("document.querySelector('#outlines').click()")
    shot_without = await pixels(page)
    assert coloured(shot_with) > 100
    assert coloured(shot_without) == 0
    assert await hovered(page)

    # Everything comes from the server: a fresh page at this address shows the same.
    await page.open(await page.evaluate("location.href"))
    await page.until("document.querySelectorAll('#results li').length >= 4")
    sizes = await page.evaluate(
        "Promise.all([...document.querySelectorAll('#results a, #zip')].map(async (link) =>"
        " (await (await fetch(link.href)).arrayBuffer()).byteLength))"
    )
    assert min(sizes) > 100


async def test_cells_are_followed_through_time(page: Page, tmp_path: Path):
    await page.evaluate("document.querySelector('#track').click()")
    assert await page.evaluate("document.querySelector('#volume').disabled")
    await dropped(page, movie(tmp_path / "movie.tif"))
    await page.until(f"{row('movie.tif')}?.innerText.includes('Done')", 60)
    assert "tracked" in await page.evaluate(f"{row('movie.tif')}.innerText")
    await page.evaluate(f"{row('movie.tif')}.querySelector('a.name').click()")
    await page.until("document.querySelectorAll('#results li').length >= 8")
    await page.until("document.querySelector('#zoom').textContent")
    results = await page.evaluate("document.querySelector('#results').innerText")
    for name in ("movie_tracks.csv", "movie_lineage.png", "movie_RES.zip"):
        assert name in results
    assert coloured(await pixels(page)) > 100
    if folder := os.environ.get("KIOSK_TEST_SHOTS"):
        await page.screenshot(Path(folder) / "tracked.png")


async def pixels(page: Page) -> np.ndarray:
    """(n, 4) red, green, blue, alpha of the canvas, once it is drawn."""
    script = """new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => {
      const canvas = document.querySelector('#canvas');
      const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
      done(Array.from(data));
    })))"""
    await asyncio.sleep(0.3)
    return np.array(await page.evaluate(script), np.int64).reshape(-1, 4)


def coloured(rgba: np.ndarray) -> int:
    return int((np.ptp(rgba[:, :3], axis=1) > 40).sum())


async def hovered(page: Page) -> bool:
    """Whether the pointer meets an instance somewhere on a grid over the canvas."""
    box = await page.evaluate("document.querySelector('#canvas').getBoundingClientRect().toJSON()")
    for down in np.linspace(0.1, 0.9, 12):
        for across in np.linspace(0.2, 0.8, 12):
            place = {"x": box["x"] + across * box["width"], "y": box["y"] + down * box["height"]}
            await page.send("Input.dispatchMouseEvent", type="mouseMoved", **place)
            if "Instance" in await page.evaluate("document.querySelector('#readout').textContent"):
                return True
    return False


async def test_channel_is_asked_for_and_taken_without_sending_again(page: Page, tmp_path: Path):
    await page.choose_files("#files", [movie(tmp_path / "two.ome.tif", "CYX", frames=2)])
    await page.until(f"{row('two.ome.tif')}?.innerText.includes('2 channels')")
    await page.evaluate("document.querySelector('#channel').value = '1'")
    again = f"[...{row('two.ome.tif')}.querySelectorAll('button')].find(b => !b.hidden)"
    assert await page.evaluate(f"{again}.innerText") == "Try again"
    await page.evaluate(f"{again}.click()")
    await page.until(f"{row('two.ome.tif')}?.innerText.includes('Done')", 60)
    assert "Used channel 1" in await page.evaluate(f"{row('two.ome.tif')}.innerText")


def button(name: str, text: str) -> str:
    """Script for a button in the row of a file."""
    return f"[...{row(name)}.querySelectorAll('button')].find(b => b.innerText === {text!r})"


async def fill(page: Page, **values: str) -> None:
    """Fill in fields behind "More settings"."""
    for name, value in values.items():
        await page.evaluate(
            f"document.querySelector('#{name.replace('_', '-')}').value = {value!r}"
        )


async def results_of(page: Page, name: str) -> list[str]:
    """Names of the files on the page of a finished job."""
    await page.until(f"{row(name)}?.innerText.includes('Done')", 60)
    await page.evaluate(f"{row(name)}.querySelector('a.name').click()")
    await page.until("document.querySelectorAll('#results li').length > 0")
    script = "[...document.querySelectorAll('#results a')].map(a => a.innerText)"
    return list(await page.evaluate(script))


async def test_zip_is_one_job_for_each_image(page: Page, tmp_path: Path):
    archive = tmp_path / "plate.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for name in ("well 10.tif", "well 2.tif"):
            file.write(movie(tmp_path / name, frames=1), f"plate/{name}")
        file.writestr("plate/bad.tif", b"II*\0 nothing")
        file.writestr("plate/notes.txt", b"These are notes.")
    await page.choose_files("#files", [archive])
    for name in ("well 2.tif", "well 10.tif"):
        await page.until(f"{row(name)}?.innerText.includes('Done')", 60)
    # What is wrong with one image stays until it is removed, and is no job.
    text = await page.evaluate(f"{row('plate.zip')}.innerText")
    assert "2 taken, 1 not" in text
    assert text.count("plate/bad.tif") == 1
    await page.evaluate(f"{button('plate.zip', 'Try again')}.click()")
    await page.until(f"{row('plate.zip')}?.innerText.includes('Not accepted')")
    await page.evaluate(f"{button('plate.zip', 'Remove')}.click()")
    await page.until(f"!{row('plate.zip')}")
    assert await page.evaluate("document.querySelectorAll('#jobs .row').length") == 2


async def test_every_image_of_a_file(page: Page, tmp_path: Path):
    path = tmp_path / "two.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as writer:
        for frames in (1, 2):
            images = make_sample(frames=frames, height_px=128, width_px=128, nuclei=5).images
            writer.write(images, metadata={"axes": "TYX"}, photometric="minisblack")
    await fill(page, series="all")
    await page.choose_files("#files", [path])
    jobs = "[...document.querySelectorAll('#jobs .row')].filter(r => r.innerText.includes('Done'))"
    await page.until(f"{jobs}.length === 2", 60)
    await fill(page, series="third")
    await page.choose_files("#files", [path])
    await page.until(f"{row('two.ome.tif')}?.innerText.includes('counted from 0, or the word all')")


async def test_result_files_are_chosen(page: Page, tmp_path: Path):
    for name in ("overlay", "rois", "qc"):
        await page.evaluate(f"document.querySelector('#formats input[value={name}]').click()")
    await page.choose_files("#files", [movie(tmp_path / "chosen.tif", frames=1)])
    assert await results_of(page, "chosen.tif") == [
        "chosen_RoiSet.zip",
        "chosen_instances.csv",
        "chosen_labels.tif",
        "chosen_qc.png",
        "chosen_run.json",
    ]
    await page.evaluate("document.querySelector('#reset').click()")
    chosen = "[...document.querySelectorAll('#formats input:checked')].map(box => box.value)"
    assert await page.evaluate(chosen) == ["labels", "table", "overlay"]


async def test_axes_are_asked_for_and_planes_are_joined(page: Page, tmp_path: Path):
    path = tmp_path / "stack.tif"
    images = make_sample(frames=4, height_px=128, width_px=128, nuclei=5).images
    tifffile.imwrite(path, images, photometric="minisblack")
    await page.evaluate("document.querySelector('#volume').click()")
    await page.choose_files("#files", [path])
    await page.until(f"{row('stack.tif')}?.innerText.includes('nothing to join in 3-D')")
    assert "give “Axes” under “More settings”" in await page.evaluate(
        f"{row('stack.tif')}.innerText"
    )
    await fill(page, axes="TZYX")
    await page.evaluate(f"{button('stack.tif', 'Try again')}.click()")
    await page.until(f"{row('stack.tif')}?.innerText.includes('3 axes longer than 1')")
    await fill(page, axes="zyx", pixel_size="0.5", z_step="2")
    await page.evaluate(f"{button('stack.tif', 'Try again')}.click()")
    await results_of(page, "stack.tif")
    facts = await page.until("document.querySelector('#facts').innerText.includes('0.5 µm')"
                             " && document.querySelector('#facts').innerText")  # fmt: skip
    assert "ZYX (as given)" in facts
    assert "z-planes joined" in facts


async def test_ome_zarr_folder_is_not_sent_in_pieces(page: Page, tmp_path: Path):
    folder = tmp_path / "data"
    (folder / "cells.ome.zarr" / "0").mkdir(parents=True)
    (folder / "cells.ome.zarr" / ".zattrs").write_text("{}")
    (folder / "cells.ome.zarr" / "0" / ".zarray").write_text("{}")
    (folder / "cells.ome.zarr" / "0" / "0.0").write_bytes(b"x")
    movie(folder / "beside.tif", frames=1)
    await dropped(page, folder)
    await page.until(
        "document.querySelector('#jobs-error').innerText.includes('“cells.ome.zarr” is')"
    )
    await page.until(f"{row('beside.tif')}?.innerText.includes('Done')", 60)
    words = await page.evaluate(WORDS)
    assert ".zarray" not in words
    assert "0.0" not in words


async def test_job_is_deleted_after_asking(page: Page, tmp_path: Path):
    await page.choose_files("#files", [movie(tmp_path / "gone soon.tif")])
    await page.until(f"{row('gone soon')}?.innerText.includes('Done')", 60)
    delete = f"{row('gone soon')}.querySelector('button.quiet').click()"
    await page.evaluate(delete)
    await page.evaluate("document.querySelector('#confirm button[value=no]').click()")
    assert await page.evaluate(f"Boolean({row('gone soon')})")
    await page.evaluate(delete)
    await page.evaluate("document.querySelector('#confirm-yes').click()")
    await page.until(f"!{row('gone soon')}")


async def test_upload_goes_on_after_breaks(page: Page, kiosk: Running, tmp_path: Path):
    if kiosk.fake is None:
        pytest.skip("breaks the connection of a kiosk of our own")
    uploads = kiosk.fake.service.uploads
    append, calls = uploads.append, []

    async def breaking(upload_id, offset, data, **options):
        calls.append(offset)
        result = await append(upload_id, offset, data, **options)
        if len(calls) in (1, 3):  # the bytes have arrived, the answer is lost
            raise TransientError("The connection broke.")
        return result

    uploads.append = breaking
    large = tmp_path / "large.tif"
    tifffile.imwrite(large, np.random.default_rng(1).integers(0, 255, (5, 2000, 2000), np.uint8))
    await page.choose_files("#files", [large])
    await page.until(f"Boolean({row('large.tif')}?.querySelector('a.name'))", 60)
    # The third answer was the last one: the page asks once more, to be sure that it is complete.
    piece, size = 8 * 1024 * 1024, large.stat().st_size
    assert calls == [0, piece, 2 * piece, size]


async def test_job_that_is_not_there_is_said_so(page: Page, kiosk: Running):
    await page.open(f"{kiosk.url}/jobs/nothere")
    await page.until("document.querySelector('#job-title').innerText == 'This job is not there'")


async def test_page_is_used_with_the_keyboard(page: Page, tmp_path: Path):
    await page.choose_files("#files", [movie(tmp_path / "keys.tif")])
    await page.until(f"{row('keys.tif')}?.innerText.includes('Done')", 60)
    await page.evaluate(f"{row('keys.tif')}.querySelector('a.name').click()")
    await page.until("document.querySelector('#zoom').textContent")
    await page.evaluate("document.querySelector('#canvas').focus()")
    for key in (".", ".", ",", "o", "+"):
        await page.send("Input.dispatchKeyEvent", type="keyDown", key=key, text=key)
        await page.send("Input.dispatchKeyEvent", type="keyUp", key=key)
    await page.until("document.querySelector('#plane-text').textContent.startsWith('2 of 3')")
    assert not await page.evaluate("document.querySelector('#outlines').checked")
