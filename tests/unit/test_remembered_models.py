"""Jobs are accepted while Triton is scaled to zero, for the models that it had."""

from __future__ import annotations

import asyncio

import pytest
from segmented import spots, tiff

from kiosk import remembered_models
from kiosk.adapters.image_files import ImageFileReader
from kiosk.bootstrap import _looking_out
from kiosk.callers import LOCAL
from kiosk.errors import MODEL_NOT_LOADED, MODEL_SERVER_AWAY, Outage
from kiosk.jobs import JobState
from kiosk.models import ModelCard
from kiosk.remembered_models import KEY, RememberedModels
from kiosk.settings import LimitSettings
from kiosk.testing import FakeInference, MemoryStore, make_card, make_kiosk


class Sleeping(FakeInference):
    """Is there, or raises what the test says."""

    asleep: Outage | None = None
    asked = 0

    async def models(self) -> list[ModelCard]:
        self.asked += 1
        if self.asleep:
            raise self.asleep
        return await super().models()

    async def absent(self) -> set[str]:
        await self.models()
        return set()


AWAY = Outage("Triton is away.", reason=MODEL_SERVER_AWAY)


@pytest.fixture(autouse=True)
def _ask_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered_models, "AWAY_KEPT_S", 0.0)


@pytest.fixture
def triton() -> Sleeping:
    return Sleeping()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


async def test_what_triton_had_is_known_while_it_is_away(
    triton: Sleeping, store: MemoryStore
) -> None:
    models = RememberedModels(triton, store)
    cards = await models.models()
    assert cards
    triton.asleep = AWAY
    assert await models.models() == cards
    assert await models.absent() == set()


async def test_it_is_known_after_a_restart(triton: Sleeping, store: MemoryStore) -> None:
    cards = await RememberedModels(triton, store).models()
    triton.asleep = AWAY
    assert await RememberedModels(triton, store).models() == cards


async def test_a_triton_that_was_there_while_nobody_asked_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class ComesUp(Sleeping):
        async def models(self) -> list[ModelCard]:
            self.asleep = AWAY if self.asked < 3 else None
            return await super().models()

    class Tells(MemoryStore):
        def __init__(self) -> None:
            super().__init__()
            self.kept = asyncio.Event()

        async def put(self, key: str, data: bytes) -> None:
            await super().put(key, data)
            self.kept.set()

    monkeypatch.setattr(remembered_models, "LOOK_S", 0.0)
    triton, store = ComesUp(), Tells()
    async with asyncio.timeout(10.0), _looking_out(RememberedModels(triton, store)):
        await store.kept.wait()
    triton.asked = 0
    assert await RememberedModels(triton, store).models() == triton.cards


async def test_what_was_never_seen_is_not_known(triton: Sleeping, store: MemoryStore) -> None:
    triton.asleep = AWAY
    with pytest.raises(Outage, match="away"):
        await RememberedModels(triton, store).models()


async def test_what_an_older_kiosk_kept_and_nobody_can_read_is_not_known(
    triton: Sleeping, store: MemoryStore
) -> None:
    await store.put(KEY, b'[{"name": 5}]')
    triton.asleep = AWAY
    with pytest.raises(Outage, match="away"):
        await RememberedModels(triton, store).models()


async def test_a_triton_that_is_still_loading_is_not_remembered(store: MemoryStore) -> None:
    class Loading(Sleeping):
        loading = False

        async def models(self) -> list[ModelCard]:
            return [] if self.loading else await super().models()

    triton = Loading()
    models = RememberedModels(triton, store)
    cards = await models.models()
    triton.loading = True
    assert await models.models() == []
    triton.loading, triton.asleep = False, AWAY
    assert await models.models() == cards


async def test_a_model_that_is_being_loaded_is_told_as_such(
    triton: Sleeping, store: MemoryStore
) -> None:
    models = RememberedModels(triton, store)
    await models.models()
    triton.asleep = Outage("It is loading.", reason=MODEL_NOT_LOADED)
    with pytest.raises(Outage, match="loading"):
        await models.models()
    with pytest.raises(Outage, match="loading"):
        await models.absent()


async def test_triton_is_not_asked_at_every_submission(
    triton: Sleeping, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remembered_models, "AWAY_KEPT_S", 60.0)
    models = RememberedModels(triton, store)
    await models.models()
    triton.asleep = AWAY
    before = triton.asked
    for _ in range(10):
        await models.models()
    assert triton.asked == before + 1


async def test_a_store_that_is_away_costs_only_the_memory(triton: Sleeping) -> None:
    class Away(MemoryStore):
        async def put(self, key: str, data: bytes) -> None:
            raise Outage("The store is away.")

    models = RememberedModels(triton, Away())
    cards = await models.models()
    triton.asleep = AWAY
    assert await models.models() == cards


async def test_every_field_of_a_card_is_kept(store: MemoryStore) -> None:
    card = make_card("odd", object_diameter_px=(3.5, 7.0), postprocessing={"diameter_px": 9.0})
    triton = Sleeping()
    triton.cards = [card]
    await RememberedModels(triton, store).models()
    triton.asleep = AWAY
    assert await RememberedModels(triton, store).models() == [card]


async def test_a_job_is_accepted_at_zero_and_done_when_triton_is_back(triton: Sleeping) -> None:
    kiosk = make_kiosk(ImageFileReader(LimitSettings()), inference=triton)
    models = RememberedModels(triton, kiosk.store)
    kiosk.service._admission._inference = models
    await models.models()
    triton.asleep = AWAY
    upload_id = await kiosk.upload(tiff(spots((40, 40))))
    job = await kiosk.service.segment(upload_id=upload_id, model="bright", caller=LOCAL)
    assert (await kiosk.queue.backlog()).jobs == 1
    triton.asleep = None
    await kiosk.work()
    assert (await kiosk.queue.get(job.id)).state is JobState.SUCCEEDED
