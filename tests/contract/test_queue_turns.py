"""Who is served when, limits, outages and new beginnings: alike in memory and on Redis."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from queue_bench import Bench, make_job, parts_of

from kiosk.errors import LeaseLost, NotFound, Overloaded, WrongState
from kiosk.jobs import Job, JobState, Lease, Priority, Stage


async def submitted(bench: Bench, *owners: str, priority: Priority | None = None) -> list[Job]:
    return [await bench.queue.submit(make_job(owner=o, priority=priority)) for o in owners]


async def served(bench: Bench, count: int) -> list[Lease]:
    return [await bench.must_take() for _ in range(count)]


# ---------------------------------------------------------------- turns


async def test_owners_take_turns_however_many_jobs_each_has(
    make_bench: Callable[..., Bench],
) -> None:
    bench = make_bench(open_jobs=100)
    await submitted(bench, *["ann"] * 5, "bob", "bob", "cyd", priority=Priority.BATCH)
    order = [lease.job.owner for lease in await served(bench, 8)]
    assert order == ["ann", "bob", "cyd", "ann", "bob", "ann", "ann", "ann"]


async def test_who_comes_later_waits_one_round_only(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(open_jobs=100)
    await submitted(bench, *["ann"] * 9, priority=Priority.BATCH)
    await served(bench, 4)
    await submitted(bench, "bob", priority=Priority.BATCH)
    assert "bob" in [lease.job.owner for lease in await served(bench, 2)]


async def test_interactive_jobs_go_first_and_batch_jobs_do_not_starve(
    make_bench: Callable[..., Bench],
) -> None:
    bench = make_bench(open_jobs=100)
    await submitted(bench, *["ann"] * 3, priority=Priority.BATCH)
    await submitted(bench, *["bob"] * 12, priority=Priority.INTERACTIVE)
    order = [lease.job.owner for lease in await served(bench, 15)]
    assert order[:10] == [*["bob"] * 4, "ann", *["bob"] * 4, "ann"]
    assert order.count("ann") == 3


async def test_first_jobs_of_an_owner_are_interactive_and_the_rest_batch(
    make_bench: Callable[..., Bench],
) -> None:
    bench = make_bench(open_jobs=100, interactive_jobs=2)
    jobs = await submitted(bench, "ann", "ann", "ann", "bob")
    assert [job.priority for job in jobs] == [
        Priority.INTERACTIVE,
        Priority.INTERACTIVE,
        Priority.BATCH,
        Priority.INTERACTIVE,
    ]
    await bench.queue.cancel(jobs[0].id)
    (again,) = await submitted(bench, "ann")
    assert again.priority is Priority.BATCH  # one interactive and one batch job are open
    asked = await bench.queue.submit(make_job(owner="ann", priority=Priority.INTERACTIVE))
    assert asked.priority is Priority.INTERACTIVE


async def test_an_owner_has_no_more_parts_out_than_allowed(
    make_bench: Callable[..., Bench],
) -> None:
    bench = make_bench(owner_parts=2, window_parts=10)
    await bench.planned(5, make_job(owner="ann"))
    first, _ = await served(bench, 2)
    assert await bench.take() is None
    await submitted(bench, "bob")
    assert (await bench.must_take()).job.owner == "bob"
    await bench.queue.complete(first)
    assert (await bench.must_take()).job.owner == "ann"
    assert await bench.take() is None


async def test_cancelling_makes_room_for_the_owners_other_jobs(
    make_bench: Callable[..., Bench],
) -> None:
    bench = make_bench(owner_parts=1)
    one, other = await submitted(bench, "ann", "ann")
    assert (await bench.must_take()).job.id == one.id
    assert await bench.take() is None
    await bench.queue.cancel(one.id)
    assert (await bench.must_take()).job.id == other.id


async def test_consumer_that_lost_the_answer_is_told_again(bench: Bench) -> None:
    """The lease is not handed out to nobody when the connection breaks at the wrong moment."""
    await bench.planned(2)
    lease = await bench.must_take("c1")
    again = await bench.must_take("c1")
    assert again == lease
    await bench.queue.complete(again)
    assert (await bench.must_take("c1")).part.index == 1


# ---------------------------------------------------------------- how many go before


async def ahead(bench: Bench, jobs: list[Job]) -> list[int | None]:
    return [await bench.queue.jobs_ahead(job.id) for job in jobs]


async def test_jobs_of_one_owner_stand_in_a_row(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(open_jobs=100)
    jobs = await submitted(bench, *["ann"] * 5, priority=Priority.BATCH)
    assert await ahead(bench, jobs) == [0, 1, 2, 3, 4]
    await bench.queue.succeed(await bench.must_take(), 1)
    assert await ahead(bench, jobs) == [None, 0, 1, 2, 3]


async def test_who_comes_later_has_one_job_of_each_other_owner_before_it(
    make_bench: Callable[..., Bench],
) -> None:
    bench = make_bench(open_jobs=100)
    many = await submitted(bench, *["ann"] * 9, priority=Priority.BATCH)
    few = await submitted(bench, "bob", "bob", priority=Priority.BATCH)
    assert await ahead(bench, few) == [1, 3]
    assert await ahead(bench, many) == [0, 2, 4, 5, 6, 7, 8, 9, 10]


@pytest.mark.parametrize("priority", list(Priority))
async def test_the_estimate_is_the_order_in_which_jobs_are_handed_out(
    make_bench: Callable[..., Bench], priority: Priority
) -> None:
    bench = make_bench(open_jobs=100)
    owners = ["ann", "ann", "bob", "cyd", "ann", "bob", "dan", "cyd", "cyd", "cyd"]
    jobs = await submitted(bench, *owners, priority=priority)
    told = dict(zip([job.id for job in jobs], await ahead(bench, jobs), strict=True))
    order = [lease.job.id for lease in await served(bench, len(jobs))]
    assert [told[job_id] for job_id in order] == list(range(len(jobs)))


async def test_interactive_jobs_stand_before_batch_jobs_but_for_one_turn_in_five(
    make_bench: Callable[..., Bench],
) -> None:
    bench = make_bench(open_jobs=100)
    batch = await submitted(bench, *["ann"] * 3, priority=Priority.BATCH)
    urgent = await submitted(bench, *["bob"] * 12, priority=Priority.INTERACTIVE)
    assert await ahead(bench, batch) == [4, 9, 14]
    assert await ahead(bench, urgent) == [0, 1, 2, 3, 5, 6, 7, 8, 10, 11, 12, 13]


async def test_an_owner_who_has_enough_out_waits_for_all_others(
    make_bench: Callable[..., Bench],
) -> None:
    bench = make_bench(open_jobs=100, owner_parts=1)
    (_, second) = await submitted(bench, "ann", "ann", priority=Priority.BATCH)
    await served(bench, 1)
    await submitted(bench, "bob", "cyd", priority=Priority.BATCH)
    assert await bench.queue.jobs_ahead(second.id) == 2


async def test_jobs_that_are_not_queued_have_none_before_them(bench: Bench) -> None:
    job = await bench.planned(3)
    assert await bench.queue.jobs_ahead(job.id) is None
    await bench.queue.cancel(job.id)
    assert await bench.queue.jobs_ahead(job.id) is None
    for odd in ("nosuchjob", "a:b"):
        with pytest.raises(NotFound):
            await bench.queue.jobs_ahead(odd)


# ---------------------------------------------------------------- limits


async def test_an_owner_with_too_many_jobs_is_refused_and_others_are_not(
    make_bench: Callable[..., Bench],
) -> None:
    bench = make_bench(owner_open_jobs=2)
    jobs = await submitted(bench, "ann", "ann")
    with pytest.raises(Overloaded, match="2 unfinished jobs"):
        await submitted(bench, "ann")
    await submitted(bench, "bob")
    await bench.queue.cancel(jobs[0].id)
    await submitted(bench, "ann")


async def test_too_many_open_parts_are_refused(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(open_parts=4)
    job = await bench.planned(4)
    with pytest.raises(Overloaded):
        await submitted(bench, "")
    await bench.finish(job.id)
    await submitted(bench, "")


# ---------------------------------------------------------------- outages, suspects


async def test_an_outage_does_not_use_up_attempts_and_is_shown(
    make_bench: Callable[..., Bench],
) -> None:
    bench = make_bench(outages=10)
    job = await bench.planned(1)
    for _ in range(5):
        lease = await bench.must_take()
        assert lease.attempt == 1
        await bench.queue.postpone(lease, "Triton does not answer.")
        assert (await bench.queue.get(job.id)).waiting_for == "Triton does not answer."
    await bench.queue.complete(await bench.must_take())
    assert (await bench.queue.get(job.id)).waiting_for == ""
    await bench.finish(job.id)


async def test_an_outage_without_end_counts_in_the_end(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(outages=4, attempts=2)
    job = await bench.planned(1)
    for attempt in (1, 1, 1, 1, 2):
        lease = await bench.must_take()
        assert lease.attempt == attempt
        await bench.queue.postpone(lease, "The store is away.")
    failed = await bench.queue.get(job.id)
    assert (failed.state, failed.error_reason) == (JobState.FAILED, "ATTEMPTS_EXHAUSTED")
    assert "The store is away." in failed.error
    assert failed.waiting_for == ""


async def test_part_whose_consumer_vanished_is_suspect_until_it_is_done(bench: Bench) -> None:
    await bench.planned(3)
    old = await bench.must_take()
    assert not old.suspect
    await bench.expire(old)
    new = await bench.must_take()
    assert (new.part, new.suspect, new.attempt) == (old.part, True, 2)
    assert not (await bench.must_take()).suspect
    await bench.queue.retry(new, "politely this time")
    assert (await bench.must_take()).suspect


# ---------------------------------------------------------------- ends and new beginnings


async def test_a_plan_may_do_its_only_part_at_once(bench: Bench) -> None:
    job = await bench.queue.submit(make_job())
    await bench.queue.succeed(await bench.must_take(), 1, ["a note"])
    done = await bench.queue.get(job.id)
    assert (done.state, done.stage) == (JobState.SUCCEEDED, Stage.FINISHED)
    assert (done.parts_total, done.parts_done, done.notes) == (1, 1, ("a note",))
    assert await bench.open_counts() == (0, 0)


async def test_redrive_begins_a_dead_job_anew(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(window_parts=1)
    job = await bench.planned(2)
    for _ in range(3):
        await bench.queue.retry(await bench.must_take(), "no")
    assert (await bench.queue.get(job.id)).state is JobState.FAILED
    with pytest.raises(WrongState, match="removed"):
        await bench.queue.redrive(job.id)
    await bench.queue.cleaned(job.id)
    again = await bench.queue.redrive(job.id)
    assert (again.state, again.stage, again.error) == (JobState.QUEUED, Stage.WAITING, "")
    assert (again.parts_total, again.start_time_s, again.end_time_s) == (0, 0, 0)
    assert await bench.queue.dead_letters() == []
    assert await bench.open_counts() == (1, 1)
    plan = await bench.must_take()
    assert plan.attempt == 1
    await bench.queue.planned(plan, parts_of(job.id, 2), [])
    assert (await bench.must_take()).attempt == 1


@pytest.mark.parametrize("end", ["succeeded", "open"])
async def test_redrive_is_for_failed_and_cancelled_jobs(bench: Bench, end: str) -> None:
    job = await bench.planned(1)
    if end == "succeeded":
        await bench.finish(job.id)
    with pytest.raises(WrongState, match="failed or was cancelled"):
        await bench.queue.redrive(job.id)


async def test_late_step_of_an_earlier_run_changes_nothing(bench: Bench) -> None:
    job = await bench.planned(2)
    old = await bench.must_take()
    await bench.queue.cancel(job.id)
    await bench.queue.cleaned(job.id)
    await bench.queue.redrive(job.id)
    await bench.queue.planned(await bench.must_take(), parts_of(job.id, 2), [])
    with pytest.raises(LeaseLost):
        await bench.queue.complete(old)
    assert (await bench.queue.get(job.id)).parts_done == 0


async def test_dead_letters_of_one_owner(bench: Bench) -> None:
    for owner in ("ann", "bob"):
        await bench.queue.submit(make_job(owner=owner))
        for _ in range(3):
            await bench.queue.retry(await bench.must_take(), "no")
    (letter,) = await bench.queue.dead_letters(owner="bob")
    assert (letter.owner, letter.file_name) == ("bob", make_job().file_name)


async def test_deleting_a_dead_job_takes_its_letter_along(bench: Bench) -> None:
    job = await bench.queue.submit(make_job())
    for _ in range(3):
        await bench.queue.retry(await bench.must_take(), "no")
    await bench.queue.delete(job.id)
    assert await bench.queue.dead_letters() == []


async def test_what_a_closed_job_left_is_due_for_removal_later(
    make_bench: Callable[..., Bench],
) -> None:
    soon = make_bench(lease_s=0.0)  # removal is due after two leases
    job = await soon.queue.submit(make_job())
    lease = await soon.must_take()
    await soon.queue.fail(lease, "BAD", "Bad.")
    assert await soon.queue.litter() == [job.id]
    await soon.queue.cleaned(job.id)
    assert await soon.queue.litter() == []


async def test_nothing_is_due_while_somebody_may_still_write(bench: Bench) -> None:
    job = await bench.planned(1)
    await bench.queue.cancel(job.id)
    assert await bench.queue.litter() == []


async def test_a_job_is_kept_longer(bench: Bench) -> None:
    job = await bench.queue.submit(make_job())
    longer = await bench.queue.extend(job.id, job.expire_time_s + 1000)
    assert longer.expire_time_s == pytest.approx(job.expire_time_s + 1000, abs=0.01)
    assert longer == await bench.queue.get(job.id)
    await bench.queue.extend(job.id, 1.0)
    assert await bench.queue.expired() == [job.id]


async def test_jobs_of_one_owner_in_pages(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(open_jobs=100)
    jobs = await submitted(bench, "ann", "bob", "ann", "", "ann")
    mine = {job.id for job in jobs if job.owner == "ann"}
    first, token = await bench.queue.list_jobs(2, owner="ann")
    rest, end = await bench.queue.list_jobs(2, token, owner="ann")
    assert {job.id for job in first + rest} == mine
    assert (len(first), end) == (2, "")
    everybody, _ = await bench.queue.list_jobs(100)
    assert {job.id for job in everybody} == {job.id for job in jobs}
    assert await bench.queue.list_jobs(2, owner="nobody") == ([], "")
