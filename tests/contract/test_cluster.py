"""What every `ports.Cluster` and `ports.LeaderRecords` promises."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from cluster_bench import ClusterBench, make_cluster_bench

from kiosk.ports import LeaderRecord, Role

BOTH = pytest.mark.parametrize("role", list(Role))
MINE = LeaderRecord(holder="me", duration_s=15, acquired_s=1_700_000_000, renewed_s=1_700_000_001.5)


@pytest.fixture(params=["memory", "fake API server", "real API server"])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ClusterBench]:
    async with make_cluster_bench(request.param, tmp_path) as bench:
        yield bench


@BOTH
async def test_a_role_begins_with_nothing(bench: ClusterBench, role: Role) -> None:
    seen = await bench.cluster.replicas(role)
    assert (seen.desired, seen.ready) == (0, 0)


@BOTH
async def test_a_role_goes_up_and_down_to_zero(bench: ClusterBench, role: Role) -> None:
    for replicas in (3, 1, 0, 2, 2, 0):
        seen = await bench.cluster.replicas(role)
        assert await bench.cluster.scale(role, replicas, seen)
        assert (await bench.cluster.replicas(role)).desired == replicas


async def test_roles_do_not_meddle_with_each_other(bench: ClusterBench) -> None:
    seen = await bench.cluster.replicas(Role.TRITON)
    await bench.cluster.scale(Role.CONSUMERS, 4, await bench.cluster.replicas(Role.CONSUMERS))
    assert await bench.cluster.replicas(Role.TRITON) == seen


@BOTH
async def test_ready_is_told_apart_from_desired(bench: ClusterBench, role: Role) -> None:
    await bench.cluster.scale(role, 3, await bench.cluster.replicas(role))
    await bench.get_ready(role, 2)
    seen = await bench.cluster.replicas(role)
    assert (seen.desired, seen.ready) == (3, 2)


@BOTH
async def test_what_changed_since_it_was_seen_is_not_overwritten(
    bench: ClusterBench, role: Role
) -> None:
    seen = await bench.cluster.replicas(role)
    await bench.change(role, 5)
    assert not await bench.cluster.scale(role, 1, seen)
    seen = await bench.cluster.replicas(role)
    assert seen.desired == 5
    assert await bench.cluster.scale(role, 1, seen)


@BOTH
async def test_the_same_look_serves_for_one_write(bench: ClusterBench, role: Role) -> None:
    seen = await bench.cluster.replicas(role)
    assert await bench.cluster.scale(role, 2, seen)
    assert not await bench.cluster.scale(role, 3, seen)


@BOTH
async def test_replicas_that_got_ready_meanwhile_are_no_conflict(
    bench: ClusterBench, role: Role
) -> None:
    await bench.cluster.scale(role, 3, await bench.cluster.replicas(role))
    seen = await bench.cluster.replicas(role)
    await bench.get_ready(role, 2)
    assert await bench.cluster.scale(role, 4, seen)
    assert (await bench.cluster.replicas(role)).desired == 4


async def test_the_record_is_not_there_at_first(bench: ClusterBench) -> None:
    assert await bench.records.read() is None


async def test_the_record_says_what_was_written(bench: ClusterBench) -> None:
    written = await bench.records.write(MINE, None)
    assert written is not None
    assert written == replace(MINE, version=written.version)
    assert await bench.records.read() == written


async def test_only_one_can_be_first(bench: ClusterBench) -> None:
    first = await bench.records.write(MINE, None)
    assert first is not None
    assert await bench.records.write(replace(MINE, holder="other"), None) is None
    assert await bench.records.read() == first


async def test_only_one_can_follow(bench: ClusterBench) -> None:
    first = await bench.records.write(MINE, None)
    second = await bench.records.write(replace(MINE, holder="b", transitions=1), first)
    assert second is not None
    assert second.version != first.version  # type: ignore[union-attr]
    assert await bench.records.write(replace(MINE, holder="c"), first) is None
    seen = await bench.records.read()
    assert seen is not None
    assert (seen.holder, seen.transitions) == ("b", 1)


async def test_who_steps_down_leaves_no_name(bench: ClusterBench) -> None:
    first = await bench.records.write(MINE, None)
    assert await bench.records.write(replace(MINE, holder=""), first)
    seen = await bench.records.read()
    assert seen is not None
    assert seen.holder == ""
