"""What a chaos run has shown, as tables."""

from __future__ import annotations

from collections import Counter

from rich.console import Console
from rich.table import Table

from tests.chaos.inputs import Kind
from tests.chaos.run import Result

SHOWN = 30


def report(result: Result, console: Console) -> None:
    console.print(_outcomes(result))
    console.print(_faults(result))
    if result.bridged:
        table = Table("what callers were told meanwhile, and bridged", "times")
        for text, count in Counter(result.bridged).most_common(12):
            table.add_row(text, str(count))
        console.print(table)
    dead = Counter((str(part.kind), part.attempts, part.reason) for part in result.dead)
    table = Table("dead letters: reason", "kind", "attempts", "parts")
    for (kind, attempts, reason), count in dead.most_common():
        table.add_row(reason, kind, str(attempts), str(count))
    console.print(table)
    for text in result.violations[:SHOWN]:
        console.print(f"[red]- {text}", highlight=False)
    if len(result.violations) > SHOWN:
        console.print(f"[red]... and {len(result.violations) - SHOWN} more")
    verdict = "[red]FAILED" if result.violations else "[green]HELD"
    console.print(
        f"{verdict}[/]: {len(result.outcomes)} jobs, {len(result.blows)} faults, storm"
        f" {result.storm_s:.0f} s, in all {result.total_s:.0f} s,"
        f" {len(result.violations)} violations."
    )


def _outcomes(result: Result) -> Table:
    table = Table("jobs", "number", "succeeded", "failed", "unfinished", "median s", "longest s")
    for kind in Kind:
        some = [outcome for outcome in result.outcomes if outcome.input.kind is kind]
        if not some:
            continue
        states = Counter(outcome.state for outcome in some)
        seconds = sorted(outcome.seconds for outcome in some)
        table.add_row(
            kind.value,
            str(len(some)),
            *(str(states[state]) for state in ("succeeded", "failed", "unfinished")),
            f"{seconds[len(seconds) // 2]:.1f}",
            f"{seconds[-1]:.1f}",
        )
    return table


def _faults(result: Result) -> Table:
    hits = Counter(blow.fault.name for blow in result.blows if not blow.missed)
    missed = Counter(blow.fault.name for blow in result.blows if blow.missed)
    longest: dict[str, float] = {}
    for seconds, blow in result.recoveries_s:
        longest[blow.fault.name] = max(seconds, longest.get(blow.fault.name, 0.0))
    table = Table(
        "faults", "done", "missed (it was down)", "longest time until work was handed out again, s"
    )
    for name in sorted({*hits, *missed}):
        seconds = f"{longest[name]:.1f}" if name in longest else "-"
        table.add_row(name, str(hits[name]), str(missed[name]), seconds)
    return table
