"""Jobs that were given up: `kiosk jobs dead`, `redrive` and `purge`, and what is behind them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from click.testing import Result
from spots import spots, tiff
from typer.testing import CliRunner

from kiosk.adapters.image_files import ImageFileReader
from kiosk.authentication import Authentication
from kiosk.callers import LOCAL, Caller, Scope
from kiosk.cli import app
from kiosk.client import AsyncKiosk
from kiosk.errors import InvalidRequest, NotFound, PermissionDenied, WrongState
from kiosk.grpc_api import GrpcServer
from kiosk.jobs import Job, JobState
from kiosk.settings import LimitSettings
from kiosk.testing import FakeKiosk, MemoryQueue, make_kiosk

ANN = Caller(owner="ann", scopes=frozenset({Scope.READ, Scope.WRITE}))
BOB = Caller(owner="bob", scopes=frozenset({Scope.READ, Scope.WRITE}))
ADMIN = Caller(owner="root", scopes=frozenset({Scope.ADMIN}))

Jobs = Callable[..., Awaitable[Result]]


@pytest.fixture
async def fake() -> FakeKiosk:
    queue = MemoryQueue(retry_delay_s=0.0)
    return make_kiosk(ImageFileReader(LimitSettings()), queue=queue)


@pytest.fixture
async def server(fake: FakeKiosk) -> AsyncIterator[GrpcServer]:
    """Without a consumer: the test does its work."""
    server = GrpcServer(fake.service, Authentication(), "127.0.0.1", 0)
    await server.start()
    yield server
    await server.stop(0)


@pytest.fixture
def jobs(server: GrpcServer) -> Jobs:
    async def call(*arguments: str) -> Result:
        words = ["jobs", *arguments, "--server", f"127.0.0.1:{server.port}"]
        return await asyncio.to_thread(CliRunner(env={"COLUMNS": "200"}).invoke, app, words)

    return call


async def given_up(fake: FakeKiosk, caller: Caller = LOCAL, name: str = "cells.tif") -> Job:
    """A job whose plan has failed three times, and nothing of which is left to remove."""
    upload = await fake.upload(tiff(spots(2)), name, caller=caller)
    job = await fake.service.segment(upload_id=upload, model="bright", caller=caller)
    for number in range(3):
        lease = await fake.queue.lease(f"test-{number}", 0)
        assert lease is not None
        await fake.queue.retry(lease, "The disk burns.")
    await fake.queue.cleaned(job.id)
    return await fake.queue.get(job.id)


async def test_dead_jobs_are_listed_with_the_reason(jobs: Jobs, fake: FakeKiosk) -> None:
    assert "No job was given up." in (await jobs("dead")).output
    job = await given_up(fake, name="[bold]odd.tif")
    output = (await jobs("dead")).output
    assert job.id in output
    assert "[bold]odd.tif" in output
    assert "The disk burns." in output


async def test_ids_are_whole_also_in_a_narrow_terminal(server: GrpcServer, fake: FakeKiosk) -> None:
    """They are there to be copied into the next command."""
    job = await given_up(fake)
    for words in (["jobs"], ["jobs", "dead"]):
        result = await asyncio.to_thread(
            CliRunner(env={"COLUMNS": "80"}).invoke,
            app,
            [*words, "--server", f"127.0.0.1:{server.port}"],
        )
        assert job.id in result.output


async def test_redrive_gives_another_go(jobs: Jobs, fake: FakeKiosk) -> None:
    job = await given_up(fake)
    result = await jobs("redrive", job.id)
    assert "1 job begun anew." in result.output
    assert (await fake.queue.get(job.id)).state is JobState.QUEUED
    await fake.work()
    assert (await fake.queue.get(job.id)).state is JobState.SUCCEEDED
    assert await fake.queue.dead_letters() == []


async def test_purge_deletes_all_with_what_they_left(jobs: Jobs, fake: FakeKiosk) -> None:
    dead = [await given_up(fake), await given_up(fake)]
    await fake.store.put(f"jobs/{dead[0].id}/parts/plan", b"{}")
    assert "2 jobs deleted." in (await jobs("purge", "--all")).output
    for job in dead:
        with pytest.raises(NotFound):
            await fake.queue.get(job.id)
        assert await fake.store.list(f"jobs/{job.id}") == []


async def test_one_that_fails_does_not_keep_the_others(jobs: Jobs, fake: FakeKiosk) -> None:
    job = await given_up(fake)
    result = await jobs("redrive", "nosuch", job.id)
    assert result.exit_code == 1
    assert "1 job begun anew." in result.output
    assert "nosuch: There is no job 'nosuch'." in result.output


@pytest.mark.parametrize("words", [(), ("--all", "job1")])
async def test_either_jobs_or_all(jobs: Jobs, words: tuple[str, ...]) -> None:
    result = await jobs("purge", *words)
    assert isinstance(result.exception, InvalidRequest)
    assert "--all" in result.exception.message


async def test_dead_letters_are_their_owners(fake: FakeKiosk) -> None:
    service = fake.service
    mine = await given_up(fake, ANN)
    await given_up(fake, BOB)
    assert [x.job_id for x in await service.list_dead_letters(caller=ANN)] == [mine.id]
    assert len(await service.list_dead_letters(caller=ADMIN, all_owners=True)) == 2
    with pytest.raises(PermissionDenied):
        await service.list_dead_letters(caller=ANN, all_owners=True)
    with pytest.raises(NotFound):
        await service.redrive_job(mine.id, caller=BOB)


async def test_a_job_without_its_upload_is_not_begun_anew(fake: FakeKiosk) -> None:
    job = await given_up(fake)
    await fake.service.uploads.delete(job.upload_id, caller=LOCAL)
    with pytest.raises(NotFound, match="upload"):
        await fake.service.redrive_job(job.id, caller=LOCAL)


async def test_the_client_library_too(client: AsyncKiosk, fake: FakeKiosk) -> None:
    job = await given_up(fake)
    (letter,) = await client.dead_letters()
    assert (letter.job, letter.kind, letter.attempts) == (f"jobs/{job.id}", "plan", 3)
    assert (await client.redrive(job.id)).name == f"jobs/{job.id}"
    with pytest.raises(WrongState):
        await client.redrive(job.id)
    with pytest.raises(InvalidRequest, match="priority"):
        await client.submit(f"uploads/{job.upload_id}", model="bright", priority="urgent")
