"""When a role can do its work: what /readyz of its status port says, and why."""

from __future__ import annotations

from kiosk.consumer import Consumer
from kiosk.queue_gauges import QueueGauges
from kiosk.status_port import Condition


async def server_condition(gauges: QueueGauges, *, is_draining: bool) -> Condition:
    """Without Redis a server can answer nothing; without Triton it still takes uploads and jobs."""
    answers = await gauges.look() is not None
    return Condition(
        is_ready=answers and not is_draining,
        facts={"redis": answers, "draining": is_draining},
    )


async def consumer_condition(gauges: QueueGauges, consumer: Consumer) -> Condition:
    """That Triton or the store is away is a fact and a metric, but no lack of readiness.

    All consumers would be unready at once, and a rollout, perhaps the one that cures it, would
    wait for them; they go on by themselves when it is back.
    """
    answers = await gauges.look() is not None
    return Condition(
        is_ready=answers and not consumer.is_stopping,
        facts={
            "redis": answers,
            "stopping": consumer.is_stopping,
            "parts": consumer.parts_in_hand,
            "waits_for": " ".join(consumer.waits_for),
        },
    )


def autoscaler_condition(*, is_stopping: bool) -> Condition:
    """It holds what it cannot see, which is its work, too; who leads is a metric."""
    return Condition(is_ready=not is_stopping, facts={"stopping": is_stopping})
