"""Looking out for the end of an outage."""

import asyncio

import pytest

from kiosk import outages as module
from kiosk.errors import MODEL_SERVER_AWAY, Outage, TransientError
from kiosk.outages import Outages


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between looks, which take no time here."""
    taken: list[float] = []
    sleep = asyncio.sleep

    async def no_time(seconds: float) -> None:
        taken.append(seconds)
        await sleep(0)

    monkeypatch.setattr(module.asyncio, "sleep", no_time)
    return taken


def away(reason: str = MODEL_SERVER_AWAY) -> Outage:
    return Outage("It is away.", reason=reason)


async def test_it_looks_again_with_growing_pauses_until_all_is_well(pauses: list[float]) -> None:
    answers: list[Exception | None] = [away()] * 5 + [TransientError("odd"), ValueError(), None]

    async def check() -> None:
        answer = answers.pop(0)
        if answer is not None:
            raise answer

    outages = Outages({MODEL_SERVER_AWAY: check})
    assert not outages.is_any
    outages.met(away())
    outages.met(away())  # every part that was in hand meets it
    assert outages.is_any
    await outages.over()
    assert not outages.is_any
    assert answers == []
    assert pauses == [0.5, 1, 2, 4, 8, 15, 15, 15]


async def test_an_outage_that_nobody_can_look_for_holds_up_nothing() -> None:
    outages = Outages({})
    outages.met(away("MODEL_NOT_LOADED"))
    assert not outages.is_any
    await outages.over()


async def test_whoever_waits_is_let_go_when_nobody_looks_any_more() -> None:
    async def check() -> None:
        raise away()

    outages = Outages({MODEL_SERVER_AWAY: check})
    outages.met(away())
    waiting = asyncio.create_task(outages.over())
    await asyncio.sleep(0)
    assert not waiting.done()
    outages.close()
    await waiting
    assert not outages.is_any
