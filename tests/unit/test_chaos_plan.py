"""A chaos run can be repeated: the same seed makes the same inputs and the same faults."""

from __future__ import annotations

from collections import Counter
from itertools import islice

from tests.chaos.faults import TARGETS, Rhythm, schedule
from tests.chaos.inputs import Kind, choose, make_inputs


def test_the_same_seed_makes_the_same_run() -> None:
    rhythm = Rhythm()
    assert list(islice(schedule(1, rhythm), 100)) == list(islice(schedule(1, rhythm), 100))
    assert list(islice(schedule(1, rhythm), 100)) != list(islice(schedule(2, rhythm), 100))
    first, again = (choose(make_inputs(3, 2), 50, 3) for _ in range(2))
    assert first == again
    assert [item.data for item in first] == [item.data for item in again]


def test_every_kind_of_input_and_every_fault_comes_up() -> None:
    for jobs in (30, 300):
        kinds = Counter(item.kind for item in choose(make_inputs(1, 2), jobs, 1))
        assert sum(kinds.values()) == jobs
        assert set(kinds) == set(Kind)
    faults = list(islice(schedule(1, Rhythm()), 300))
    assert {fault.target for fault in faults} == set(TARGETS)
    quick = Rhythm(pause_s=(0.1, 0.2), stopped_s=(0.3, 0.4), supervisor=False)
    for fault in islice(schedule(1, quick), 300):
        assert fault.target != "kiosk"
        assert 0.1 <= fault.pause_s <= 0.2
        assert fault.stopped_s == 0 or 0.3 <= fault.stopped_s <= 0.4
