"""A cluster whose Triton is at zero replicas still knows its models, and takes jobs for them."""

from __future__ import annotations

import pytest

from kiosk.errors import MODEL_SERVER_AWAY, Outage
from kiosk.known_models import KEY, KnownModels
from kiosk.testing.fake_inference import FakeInference
from kiosk.testing.memory_store import MemoryStore


async def test_models_are_known_while_triton_is_away_also_to_a_new_server() -> None:
    triton, store = FakeInference(), MemoryStore()
    there = await KnownModels(triton, store).models()
    assert there

    triton.is_down = True
    started_meanwhile = KnownModels(triton, store)
    assert await started_meanwhile.models() == there
    assert await started_meanwhile.absent() == set()
    with pytest.raises(Outage):
        await started_meanwhile.check()  # for those who need Triton itself it is away


async def test_who_has_never_seen_triton_knows_no_model() -> None:
    triton = FakeInference()
    triton.is_down = True
    known = KnownModels(triton, MemoryStore())
    for ask in (known.models, known.absent):
        with pytest.raises(Outage) as error:
            await ask()
        assert error.value.reason == MODEL_SERVER_AWAY


async def test_cards_that_another_version_kept_count_as_none() -> None:
    triton, store = FakeInference(), MemoryStore()
    await store.put(KEY, b'[{"name": "nuclei"}]')
    triton.is_down = True
    with pytest.raises(Outage):
        await KnownModels(triton, store).models()
