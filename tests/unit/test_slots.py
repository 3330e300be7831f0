"""Who works beside whom in one consumer."""

import asyncio

import pytest

from kiosk.slots import Slots


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


class Holder:
    """Somebody in a slot, who may ask to be alone there, until told to leave."""

    def __init__(self, slots: Slots, wants_alone: bool = False) -> None:
        self.has_slot = self.is_alone = False
        self._leave = asyncio.Event()
        self.task = asyncio.create_task(self._hold(slots, wants_alone))

    async def _hold(self, slots: Slots, wants_alone: bool) -> None:
        async with slots.one():
            self.has_slot = True
            if wants_alone:
                async with slots.alone():
                    self.is_alone = True
                    await self._leave.wait()
                    self.is_alone = False
            else:
                await self._leave.wait()
        self.has_slot = False

    async def leave(self) -> None:
        self._leave.set()
        await self.task
        await settle()


async def test_slots_are_taken_side_by_side() -> None:
    slots = Slots()
    both = [Holder(slots), Holder(slots)]
    await settle()
    assert [holder.has_slot for holder in both] == [True, True]
    for holder in both:
        await holder.leave()


async def test_one_waits_until_the_others_are_done_and_keeps_new_ones_out() -> None:
    slots = Slots()
    other = Holder(slots)
    await settle()
    alone = Holder(slots, wants_alone=True)
    await settle()
    late = Holder(slots)
    await settle()
    assert slots.is_one_wanted_alone
    assert (alone.is_alone, late.has_slot) == (False, False)
    await other.leave()
    assert (alone.is_alone, late.has_slot) == (True, False)
    await alone.leave()
    assert late.has_slot
    assert not slots.is_one_wanted_alone
    await late.leave()


async def test_two_that_want_to_be_alone_are_so_one_after_the_other() -> None:
    slots = Slots()
    first, second = Holder(slots, wants_alone=True), Holder(slots, wants_alone=True)
    await settle()
    assert [first.is_alone, second.is_alone].count(True) == 1
    now, then = (first, second) if first.is_alone else (second, first)
    await now.leave()
    assert then.is_alone
    await then.leave()


async def test_one_that_gives_up_waiting_holds_up_nobody() -> None:
    slots = Slots()
    other = Holder(slots)
    await settle()
    waiting = Holder(slots, wants_alone=True)
    await settle()
    waiting.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting.task
    late = Holder(slots)
    await settle()
    assert late.has_slot
    await other.leave()
    await late.leave()
