"""A new version is rolled out over two real Tritons while jobs run: no job is lost."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from spots import spots, tiff
from tritons import SECRET, Triton, add_version
from typer.testing import CliRunner

from kiosk import admission, model_control
from kiosk.adapters.image_files import ImageFileReader
from kiosk.adapters.model_source import ObstoreModelSource
from kiosk.adapters.redis_queue import RedisQueue
from kiosk.adapters.redis_rollouts import RedisRolloutBook
from kiosk.adapters.triton import TritonInference
from kiosk.callers import LOCAL
from kiosk.cli import app
from kiosk.errors import KioskError, Outage, WrongState
from kiosk.jobs import Job, JobState
from kiosk.machine import server_files
from kiosk.model_sync import ModelSync
from kiosk.queue_policy import QueuePolicy
from kiosk.settings import CHECKOUT, LimitSettings, Settings
from kiosk.testing import make_kiosk

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.timeout(180)]

NUCLEI = CHECKOUT / "model_repository" / "nuclei"
JOBS_AT_A_TIME = 4
MOST_JOBS = 300


def small_config() -> str:
    """The configuration of the shipped model, with small tiles and without another engine."""
    text = (NUCLEI / "config.pbtxt").read_text()
    text = text.replace('key: "kiosk.tile_px" value { string_value: "1536" }',
                        'key: "kiosk.tile_px" value { string_value: "288" }')  # fmt: skip
    return re.sub(r"^optimization .*$", "", text, flags=re.M)


def add_nuclei(repository: Path, version: str) -> None:
    weights = (NUCLEI / version / "model.onnx").read_bytes()
    add_version(repository / "nuclei", version, small_config(), weights)


class Pair:
    """Two Tritons, each with a copy of one model repository as a sidecar keeps it."""

    def __init__(self, folder: Path) -> None:
        self.source = folder / "source"
        add_nuclei(self.source, "1")
        source = ObstoreModelSource(str(self.source))
        folders = [folder / name for name in ("one", "other")]
        self._syncs = [ModelSync(source, place / "models", print) for place in folders]
        asyncio.run(self.copy())
        self.tritons = [Triton(place) for place in folders]

    async def copy(self) -> None:
        for sync in self._syncs:
            await sync.once()
            await sync.once()  # what is new has to look the same twice

    @property
    def address(self) -> str:
        return "ipv4:" + ",".join(triton.address for triton in self.tritons)

    def stop(self) -> None:
        for triton in self.tritons:
            triton.stop()


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    try:
        server_files(Settings().servers_dir)
    except KioskError as error:
        pytest.skip(error.message)
    pair = Pair(tmp_path)
    yield pair
    pair.stop()


class Site:
    """A server and a consumer over the pair, and somebody who has jobs all the time."""

    def __init__(self, address: str, redis_url: str) -> None:
        self.queue: Any = RedisQueue(redis_url, QueuePolicy(lease_s=30.0, attempts=1))
        self.book: Any = RedisRolloutBook(redis_url)
        self.inference: Any = TritonInference(address, 60.0, SECRET)
        files = ImageFileReader(LimitSettings())
        self.kiosk = make_kiosk(
            files, queue=self.queue, rollouts=self.book, inference=self.inference
        )
        self.consumer = self.kiosk.consumer()
        self.jobs: list[Job] = []
        self._tasks = [
            asyncio.create_task(self.consumer.run()),
            *(asyncio.create_task(self._go_on_submitting()) for _ in range(JOBS_AT_A_TIME)),
        ]
        self._enough = False

    async def _go_on_submitting(self) -> None:
        upload_id = await self.kiosk.upload(tiff(spots()), "cells.tif")
        while not self._enough:
            try:
                job = await self.kiosk.service.segment(
                    upload_id=upload_id, model="nuclei", caller=LOCAL
                )
            except Outage:  # told to try again, as clients do
                await asyncio.sleep(0.1)
                continue
            self.jobs.append(job)
            async for _ in self.queue.watch(job.id):
                pass

    async def until(self, enough: Callable[[Counter[str]], bool]) -> None:
        """Wait until the jobs that are submitted from now on have such versions."""
        begun = len(self.jobs)
        while not enough(self.versions(begun)):
            assert len(self.jobs) < begun + MOST_JOBS, self.versions(begun)
            await asyncio.sleep(0.05)

    def versions(self, begun: int) -> Counter[str]:
        return Counter(job.model_version for job in self.jobs[begun:])

    async def end(self) -> list[Job]:
        """All jobs, as they ended."""
        self._enough = True
        await asyncio.gather(*self._tasks[1:])
        self.consumer.stop()
        await self._tasks[0]
        return [await self.queue.get(job.id) for job in self.jobs]

    async def close(self) -> None:
        self.consumer.stop()
        for task in self._tasks[1:]:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for part in (self.queue, self.book, self.inference):
            await part.close()


@pytest.fixture
async def site(
    pair: Pair, new_redis: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Site]:
    redis = new_redis()
    monkeypatch.setenv("KIOSK_QUEUE__REDIS_URL", redis.url)
    monkeypatch.setenv("KIOSK_TRITON__ADDRESS", pair.address)
    monkeypatch.setenv("KIOSK_TRITON__SECRET", SECRET)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(admission, "ROLLOUTS_KEPT_S", 0.0)
    monkeypatch.setattr(model_control, "HEARD_S", 0.2)
    site = Site(pair.address, redis.url)
    yield site
    await site.close()


async def models(*arguments: str) -> str:
    """`kiosk models ...` as it is typed; what it says."""

    def run() -> str:
        result = CliRunner().invoke(app, ["models", *arguments], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    return await asyncio.to_thread(run)


async def test_a_version_is_rolled_out_and_back_under_load(pair: Pair, site: Site) -> None:
    await site.until(lambda found: found["1"] >= 5)

    # The new version is copied and loaded; a share of the jobs goes to it.
    add_nuclei(pair.source.with_name("new"), "2")
    (pair.source.with_name("new") / "nuclei" / "2").rename(pair.source / "nuclei" / "2")
    await pair.copy()
    said = await models("load", "nuclei:2", "--canary", "30%")
    assert said.count("version 2 of 'nuclei' is loaded") == 2
    assert said.count("an empty tile of 288 px took") == 2
    assert site.versions(0).keys() == {"1"}  # loading alone gives it nothing
    await site.until(lambda found: found["2"] >= 5 and found["1"] > found["2"])
    status = await models("status", "nuclei")
    assert "70 % (promoted)" in status
    assert "30 % (canary)" in status
    assert status.count("2 of 2") == 2

    # Promoted: all new jobs. Rolled back: none.
    await models("promote", "nuclei:2")
    await site.until(lambda found: found["2"] >= 8 and not found["1"])
    await models("rollback", "nuclei")
    await site.until(lambda found: found["1"] >= 8 and not found["2"])

    # The old version is retired when its jobs are done.
    await models("promote", "nuclei:2")
    await unloaded("nuclei:1")
    await site.until(lambda found: found["2"] >= 5)
    assert "1 of 2" not in await models("status", "nuclei")
    assert "0 of 2" in await models("status", "nuclei")  # the previous one
    with pytest.raises(WrongState, match="Load it first"):
        await models("rollback", "nuclei")

    # A Triton dies in the middle of it.
    pair.tritons[0].child.kill()
    await site.until(lambda found: found["2"] >= 10)

    ended = await site.end()
    assert {job.state for job in ended} == {JobState.SUCCEEDED}
    assert [job.model_version for job in ended] == [job.model_version for job in site.jobs]
    assert await site.queue.dead_letters() == []


async def unloaded(model: str) -> None:
    """Unload a version as soon as no job needs it."""
    for _ in range(100):
        with suppress(WrongState):
            await models("unload", model)
            return
        await asyncio.sleep(0.2)
    raise AssertionError("it was needed all the time")
