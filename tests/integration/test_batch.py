"""Many files through a kiosk of fakes: `kiosk segment` and `kiosk watch` without their options."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import tifffile
from rich.console import Console
from spots import spots, tiff, zipped

from kiosk import batch, watching
from kiosk.batch import Outcome, SegmentRequest, segment_files
from kiosk.callers import LOCAL
from kiosk.client import AsyncKiosk
from kiosk.errors import InvalidRequest, NotFound, Overloaded, TransientError
from kiosk.jobs import Job
from kiosk.testing import FakeKiosk
from kiosk.watching import watch_folder

DONE, FAILED, LEFT_OUT = Outcome.DONE, Outcome.FAILED, Outcome.LEFT_OUT


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def written(path: Path, data: bytes) -> str:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    return str(path)


async def segmented(
    client: AsyncKiosk, names: Sequence[str], out: Path, **request: object
) -> tuple[list[Outcome], list[str]]:
    """Outcomes, and the lines that were printed."""
    console = Console(file=io.StringIO(), width=200)
    wanted = SegmentRequest(**{"model": "bright", "out": out, **request})  # type: ignore[arg-type]
    outcomes = await segment_files(client, names, wanted, console)
    return outcomes, console.file.getvalue().splitlines()  # type: ignore[attr-defined]


def instances(out: Path) -> dict[str, int]:
    runs = {path.name[: -len("_run.json")]: path for path in out.glob("*_run.json")}
    return {name: json.loads(path.read_text())["instances"] for name, path in runs.items()}


async def test_files_of_all_kinds(client: AsyncKiosk, tmp_path: Path, out: Path) -> None:
    names = [
        written(tmp_path / "a.tif", tiff(spots(1))),
        written(tmp_path / "bad.tif", b"hello"),
        written(tmp_path / "c.zip", zipped({"only.tif": tiff(spots(3))})),
    ]
    outcomes, lines = await segmented(client, names, out)
    assert outcomes == [DONE, FAILED, DONE]
    assert instances(out) == {"a": 1, "c": 3}
    (failed,) = [line for line in lines if line.startswith("failed")]
    assert failed.startswith("failed 'bad.tif' is ")
    assert any(line.startswith("done   a.tif: 1 instances, ") for line in lines)
    assert all(lines)  # none is empty


async def test_a_batch_waits_while_the_kiosk_is_full(
    client: AsyncKiosk,
    fake: FakeKiosk,
    tmp_path: Path,
    out: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who leaves thousands of images overnight shall not find half of them refused."""
    monkeypatch.setattr(batch, "FULL_PAUSE_S", 0.0)
    submit, refusals = fake.queue.submit, [Overloaded("This kiosk is full.")] * 3

    async def full_at_first(job: Job) -> Job:
        if refusals:
            raise refusals.pop()
        return await submit(job)

    monkeypatch.setattr(fake.queue, "submit", full_at_first)
    names = [written(tmp_path / f"{i}.tif", tiff(spots(1))) for i in range(2)]
    outcomes, lines = await segmented(client, names, out)
    assert outcomes == [DONE, DONE]
    assert sum("This kiosk is full." in line for line in lines) == 1


async def test_a_zip_is_one_job_per_member(
    client: AsyncKiosk, fake: FakeKiosk, tmp_path: Path, out: Path
) -> None:
    members = {f"f{i}.tif": tiff(spots(i % 5 + 1)) for i in (10, 9, 2, 1, 11, 3)}
    members |= {"f4.tif": b"II*\0 nothing", "notes.txt": b"hello"}
    outcomes, lines = await segmented(
        client, [written(tmp_path / "plate.zip", zipped(members))], out
    )
    assert outcomes == [DONE, DONE, DONE, FAILED, DONE, DONE, DONE]
    assert instances(out) == {f"f{i}": i % 5 + 1 for i in (1, 2, 3, 9, 10, 11)}
    assert sum("f4.tif" in line for line in lines) == 1
    jobs, _ = await fake.service.list_jobs(caller=LOCAL)
    order = [job.file_name for job in sorted(jobs, key=lambda job: job.create_time_s)]
    assert order == ["f1.tif", "f2.tif", "f3.tif", "f9.tif", "f10.tif", "f11.tif"]


async def test_members_of_the_same_name_in_two_folders(
    client: AsyncKiosk, tmp_path: Path, out: Path
) -> None:
    data = zipped({"w1/a.tif": tiff(spots(1)), "w2/a.tif": tiff(spots(2)), "b.tif": tiff(spots(3))})
    await segmented(client, [written(tmp_path / "plate.zip", data)], out)
    assert instances(out) == {"w1_a": 1, "w2_a": 2, "b": 3}


async def test_every_series_where_asked_for(client: AsyncKiosk, tmp_path: Path, out: Path) -> None:
    path = tmp_path / "two.tif"
    with tifffile.TiffWriter(path, ome=True) as writer:
        for count in (1, 2):
            writer.write(spots(count), metadata={"axes": "YX"}, photometric="minisblack")
    await segmented(client, [str(path)], out, all_series=True)
    assert instances(out) == {"two_series0": 1, "two_series1": 2}
    await segmented(client, [str(path)], out / "second", series=1)
    assert instances(out / "second") == {"two": 2}


async def test_results_are_never_replaced_unasked(
    client: AsyncKiosk, tmp_path: Path, out: Path
) -> None:
    names = [
        written(tmp_path / "a.tif", tiff(spots(1))),
        written(tmp_path / "b.zip", zipped({"x.tif": tiff(spots(1)), "y.tif": tiff(spots(2))})),
    ]
    await segmented(client, names, out)
    before = {path: path.read_bytes() for path in out.iterdir()}
    (out / "y_run.json").unlink()
    for path in out.glob("y_*"):
        path.unlink()
    outcomes, lines = await segmented(client, names, out)
    assert outcomes == [FAILED, FAILED, DONE]
    assert sum("--overwrite" in line and "--skip-existing" in line for line in lines) == 2
    outcomes, _ = await segmented(client, names, out, skip_existing=True)
    assert outcomes == [LEFT_OUT, LEFT_OUT, LEFT_OUT]
    assert {path: path.read_bytes() for path in out.glob("[ax]_*")} == {
        path: data for path, data in before.items() if path.name[0] in "ax"
    }
    outcomes, _ = await segmented(client, names, out, overwrite=True)
    assert outcomes == [DONE, DONE, DONE]
    assert (out / "a_run.json").read_bytes() != before[out / "a_run.json"]


async def test_what_is_wrong_with_all_is_said_once(
    client: AsyncKiosk, tmp_path: Path, out: Path
) -> None:
    names = [written(tmp_path / f"{i}.tif", tiff(spots())) for i in range(3)]
    with pytest.raises(NotFound, match="no model 'nope'"):
        await segmented(client, names, out, model="nope")
    with pytest.raises(NotFound, match="no version '9'"):
        await segmented(client, names, out, version="9")
    with pytest.raises(InvalidRequest, match="does not exist"):
        await segmented(client, names, out, within=str(tmp_path / "nothere.tif"))
    with pytest.raises(InvalidRequest, match="would both write"):
        await segmented(client, [*names, str(tmp_path / "x" / "0.tif")], out)
    async with AsyncKiosk("127.0.0.1:1") as nobody:
        with pytest.raises(TransientError, match="Is it running"):
            await segmented(nobody, names, out)
    assert not out.exists()


async def test_one_mask_for_all_is_sent_once(
    client: AsyncKiosk, fake: FakeKiosk, tmp_path: Path, out: Path
) -> None:
    mask = np.zeros((100, 120), np.uint8)
    mask[:38] = 4
    within = written(tmp_path / "mask.tif", tiff(mask))
    names = [written(tmp_path / f"{i}.tif", tiff(spots(5))) for i in range(3)]
    await segmented(client, names, out, within=within)
    assert instances(out) == {"0": 2, "1": 2, "2": 2}
    uploads = [key for key in fake.store.objects if key.endswith("/upload.json")]
    assert len(uploads) == 4


async def test_a_mask_of_its_own_for_each_image(
    client: AsyncKiosk, tmp_path: Path, out: Path
) -> None:
    upper = np.zeros((100, 120), np.uint8)
    upper[:38] = 1
    written(tmp_path / "masks" / "a.png.tif", tiff(upper))
    written(tmp_path / "masks" / "a.tif", tiff(upper))
    written(tmp_path / "masks" / "b_labels.tif", tiff(np.ones((100, 120), np.uint8)))
    names = [written(tmp_path / f"{name}.tif", tiff(spots(5))) for name in "abc"]
    outcomes, lines = await segmented(client, names, out, within=str(tmp_path / "masks"))
    assert outcomes == [DONE, DONE, FAILED]
    assert instances(out) == {"a": 2, "b": 5}
    assert any("there is no mask 'c' or 'c_labels'" in line for line in lines)


async def test_options_reach_the_job(client: AsyncKiosk, tmp_path: Path, out: Path) -> None:
    stack = written(tmp_path / "s.tif", tiff(np.stack([spots(5)] * 4), photometric="minisblack"))
    outcomes, lines = await segmented(
        client,
        [stack],
        out,
        axes="ZYX",
        pixel_size_um=0.5,
        z_step_um=1.0,
        region=(0, 0, 38, 120),
        volume=True,
        formats=("table",),
    )
    assert outcomes == [DONE]
    assert sorted(path.name for path in out.iterdir()) == ["s_instances.csv", "s_run.json"]
    assert any("2 instances in 3-D, from 4 planes" in line for line in lines)


async def test_names_with_brackets_are_printed_as_they_are(
    client: AsyncKiosk, tmp_path: Path, out: Path
) -> None:
    name = written(tmp_path / "[red]well[1].tif", tiff(spots(1)))
    _, lines = await segmented(client, [name], out)
    assert lines[0].startswith("done   [red]well[1].tif: 1 instances")


# ---------------------------------------------------------------------- watching


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "LOOK_S", 0.01)
    monkeypatch.setattr(watching, "AWAY_S", 0.01)


async def watched(client: AsyncKiosk, folder: Path, out: Path, until: set[str]) -> list[str]:
    """Watch until these results are there, and some looks more; returns the lines printed."""
    console = Console(file=io.StringIO(), width=200)
    request = SegmentRequest(model="bright", out=out, skip_existing=True)
    loop, enough, looks, look = asyncio.get_running_loop(), asyncio.Event(), [], watching._files

    def counted(path: Path) -> list[tuple[Path, int]]:
        looks.append(until <= set(instances(out)))
        if sum(looks) > 5:
            loop.call_soon_threadsafe(enough.set)
        return look(path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(watching, "_files", counted)
        task = asyncio.create_task(watch_folder(client, folder, request, console))
        try:
            await asyncio.wait_for(enough.wait(), 60)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


@pytest.mark.usefixtures("quick")
async def test_a_folder_is_watched_and_goes_on_where_it_stopped(
    client: AsyncKiosk, fake: FakeKiosk, tmp_path: Path, out: Path
) -> None:
    folder = tmp_path / "in"
    written(folder / "a.tif", tiff(spots(1)))
    written(folder / "b.zip", zipped({"x.tif": tiff(spots(2)), "y.tif": tiff(spots(3))}))
    written(folder / "notes.txt", b"hello")
    written(folder / "empty.tif", b"")
    await watched(client, folder, out, {"a", "x", "y"})
    assert instances(out) == {"a": 1, "x": 2, "y": 3}
    jobs, _ = await fake.service.list_jobs(caller=LOCAL)
    assert len(jobs) == 3

    written(folder / "c.tif", tiff(spots(4)))
    lines = await watched(client, folder, out, {"c"})
    assert instances(out)["c"] == 4
    jobs, _ = await fake.service.list_jobs(caller=LOCAL)
    assert len(jobs) == 4  # nothing was done again
    assert [line[:6] for line in lines] == ["done  "]


@pytest.mark.usefixtures("quick")
async def test_files_wait_while_the_kiosk_is_away(
    client: AsyncKiosk, tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "in"
    written(folder / "a.tif", tiff(spots(1)))
    upload, calls = client.upload, []

    async def away(*arguments: object, **options: object) -> str:
        calls.append(arguments)
        if len(calls) < 3:
            raise TransientError("The kiosk does not answer.")
        return await upload(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(client, "upload", away)
    lines = await watched(client, folder, out, {"a"})
    assert [line[:6] for line in lines] == ["failed", "failed", "done  "]


@pytest.mark.usefixtures("quick")
async def test_a_folder_that_goes_away_is_waited_for(
    client: AsyncKiosk, tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "in"
    written(folder / "a.tif", tiff(spots(1)))
    looks, iterdir = [], Path.iterdir

    def unreliable(path: Path) -> object:
        looks.append(path)
        if path == folder and len(looks) < 3:
            raise OSError("the network is away")
        return iterdir(path)

    monkeypatch.setattr(Path, "iterdir", unreliable)
    await watched(client, folder, out, {"a"})
    assert instances(out) == {"a": 1}
