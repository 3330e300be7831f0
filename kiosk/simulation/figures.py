"""The figures of a run: speed, waits, hours, dollars."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kiosk.simulation.engine import Run


@dataclass(frozen=True)
class Figures:
    """What a report says about one trace under one policy.

    Attributes:
        images, undone: that came; of them not done at the end.
        images_per_s: done, per second in which there was open work.
        wait_...: from arrival to done, of all, of interactive and of batch images; None if there
            were none.
        gpu_h, consumer_h: paid hours of GPU nodes and of consumers.
        idle_ratio: share of the paid GPU time in which no image was advanced.
        scale_changes: how often the wanted number of Triton replicas changed.
        longest_open_s: longest time in which there was always open work; of a burst, the time
            until it is done.
        peak_gpus: most replicas of Triton that were ready at a time.
    """

    trace: str
    policy: str
    images: int
    undone: int
    images_per_s: float
    wait_p50_s: float | None
    wait_p95_s: float | None
    interactive_p50_s: float | None
    interactive_p95_s: float | None
    batch_p50_s: float | None
    batch_p95_s: float | None
    gpu_h: float
    consumer_h: float
    dollars: float
    dollars_per_million: float
    idle_ratio: float
    scale_changes: int
    preemptions: int
    repeated_images: float
    longest_open_s: float
    peak_gpus: int


def figures_of(run: Run) -> Figures:
    """The figures of a run that has ended."""
    work, prices = run.work, run.scenario.prices
    interactive, batch = work.interactive.waits_s(), work.batch.waits_s()
    waits = np.concatenate([interactive, batch])
    dollars = prices.dollars(
        gpu_node_s=run.gpu_node_s,
        consumer_s=run.consumer_s,
        megapixels=work.done,
        between_zones_ratio=run.scenario.between_zones_ratio,
    )
    worked_s = work.done / prices.megapixels_per_gpu_s
    return Figures(
        trace=run.trace.name,
        policy=run.policy,
        images=run.trace.images,
        undone=run.trace.images - len(waits),
        images_per_s=len(waits) / work.busy_s if work.busy_s else 0.0,
        wait_p50_s=_percentile(waits, 50),
        wait_p95_s=_percentile(waits, 95),
        interactive_p50_s=_percentile(interactive, 50),
        interactive_p95_s=_percentile(interactive, 95),
        batch_p50_s=_percentile(batch, 50),
        batch_p95_s=_percentile(batch, 95),
        gpu_h=run.gpu_node_s / 3600,
        consumer_h=run.consumer_s / 3600,
        dollars=dollars,
        dollars_per_million=dollars / len(waits) * 1e6 if len(waits) else 0.0,
        idle_ratio=max(0.0, 1 - worked_s / run.gpu_node_s) if run.gpu_node_s else 0.0,
        scale_changes=run.fleet.changes,
        preemptions=run.fleet.preemptions,
        repeated_images=work.repeated,
        longest_open_s=work.longest_s,
        peak_gpus=max((moment.ready_triton for moment in run.history), default=0),
    )


def _percentile(waits_s: npt.NDArray[np.float64], percent: float) -> float | None:
    return float(np.percentile(waits_s, percent)) if len(waits_s) else None
