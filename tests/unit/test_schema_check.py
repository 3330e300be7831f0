"""A role and the layout of the data in Redis, which may come later than the role."""

from __future__ import annotations

import asyncio

import pytest

from kiosk import schema_check
from kiosk.errors import KioskError, Overloaded, PermanentError, TransientError
from kiosk.schema_check import schema_checked

OTHER = PermanentError("The data are of a newer kiosk.")


class Layout:
    """Answers one after the other, the last one for ever; None is right."""

    def __init__(self, *answers: KioskError | None) -> None:
        self.answers = list(answers)
        self.asked = 0
        self.is_last = asyncio.Event()

    async def check(self) -> None:
        self.asked += 1
        if len(self.answers) == 1:
            self.is_last.set()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is not None:
            raise answer


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema_check, "LOOK_AGAIN_S", 0.0)


@pytest.fixture
def stopping() -> asyncio.Event:
    return asyncio.Event()


async def test_right_data_are_looked_at_once(stopping: asyncio.Event) -> None:
    layout = Layout(None)
    async with schema_checked(layout.check, stopping):
        await asyncio.sleep(0)
    assert (layout.asked, stopping.is_set()) == (1, False)


async def test_data_of_another_kiosk_end_the_role_before_its_work(stopping: asyncio.Event) -> None:
    with pytest.raises(PermanentError, match="newer"):
        async with schema_checked(Layout(OTHER).check, stopping):
            pytest.fail("the work began")


async def test_without_redis_the_role_works_until_the_data_are_those_of_another(
    stopping: asyncio.Event,
) -> None:
    layout = Layout(TransientError("Away."), Overloaded("Full."), TransientError("Away."), OTHER)
    with pytest.raises(PermanentError, match="newer"):
        async with schema_checked(layout.check, stopping):
            await asyncio.wait_for(stopping.wait(), 10)
    assert layout.asked == 4


async def test_without_redis_the_role_goes_on_when_the_data_are_right(
    stopping: asyncio.Event,
) -> None:
    layout = Layout(TransientError("Away."), TransientError("Away."), None)
    async with schema_checked(layout.check, stopping):
        await asyncio.wait_for(layout.is_last.wait(), 10)
    assert (layout.asked, stopping.is_set()) == (3, False)


async def test_a_role_that_ends_before_redis_comes_ends_well(stopping: asyncio.Event) -> None:
    async with schema_checked(Layout(TransientError("Away.")).check, stopping):
        await asyncio.sleep(0)
    assert not stopping.is_set()


async def test_a_network_that_swallows_all_does_not_hold_up_the_role(
    stopping: asyncio.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema_check, "FIRST_LOOK_S", 0.0)

    async def never() -> None:
        await asyncio.Event().wait()

    async with schema_checked(never, stopping):
        await asyncio.sleep(0)
    assert not stopping.is_set()
