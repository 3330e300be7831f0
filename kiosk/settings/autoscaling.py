"""How many replicas of Triton and of the consumers there are in a cluster."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from kiosk.settings.group import Group


class AutoscalerSettings(Group):
    """`kiosk autoscaler`; a unit is one replica of Triton with the consumers that keep it busy."""

    drain_s: float = Field(
        600.0,
        gt=0,
        description="The backlog is to be done within this time, once new nodes are up. A node is"
        " worth its start, which takes minutes and is paid, only if it then works for longer."
        " Batches of images every quarter of an hour cost twice as much with 300 s.",
    )
    startup_s: float = Field(
        180.0,
        ge=0,
        description="From asking for a replica of Triton until it is ready: a GPU node starts,"
        " pulls the image and loads the models. What ready replicas get done meanwhile needs no new"
        " node. The least to go by: where starts are measured to take longer, that counts.",
    )
    cool_down_s: float = Field(
        300.0,
        ge=0,
        description="Replicas fall only to the most that was wanted in this time, so that a pause"
        " between two batches does not stop nodes that are wanted again at once.",
    )
    idle_s: float = Field(
        600.0,
        ge=0,
        description="The last replicas go only when there was no work for this time: whoever comes"
        " next would have to wait for a node.",
    )
    tolerance_ratio: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="Being late by so much is not worth another unit. Without it, the noise of a"
        " measured pace would start nodes.",
    )
    min_triton: int = Field(
        0,
        ge=0,
        description="Fewest replicas of Triton. With 1 no job waits for a node.",
    )
    max_triton: int = Field(
        8, gt=0, description="Most replicas of Triton: no more than there is quota for GPUs."
    )
    min_consumers: int = Field(
        0, ge=0, description="Fewest consumers. 1 has jobs planned at once; it needs no GPU."
    )
    consumers_per_triton: int = Field(
        4,
        gt=0,
        description="Consumers of a unit: reading, post-processing and writing take a few"
        " processors for each GPU.",
    )
    default_px_per_slot_s: float = Field(
        1_000_000.0,
        gt=0,
        description="Pixels per second of one slot for a model that nobody has measured yet; a"
        " consumer has `KIOSK_CONSUMER__PARTS_IN_FLIGHT` slots. A guess that is too high starts too"
        " few nodes at first, one that is too low too many; it is put right within minutes.",
    )
    most_cost_per_hour: float = Field(
        0.0, ge=0, description="Ceiling for what all replicas cost, in your currency. 0: none."
    )
    triton_cost_per_hour: float = Field(
        0.0, ge=0, description="What a node for one replica of Triton costs."
    )
    consumer_cost_per_hour: float = Field(0.0, ge=0, description="What one consumer costs.")
    namespace: str = Field(
        "", description="Namespace of the deployments. Default: that of the autoscaler's own pod."
    )
    triton_deployment: str = Field("triton", description="Name of the deployment of Triton.")
    consumer_deployment: str = Field(
        "kiosk-consumer", description="Name of the deployment of the consumers."
    )
    kubeconfig: Path | None = Field(
        None,
        description="File that says how to reach the cluster from outside. Default: the service"
        " account of the pod, then what kubectl uses.",
    )
    poll_s: float = Field(
        10.0,
        gt=0,
        description="Time between two decisions: short beside the start of a node, long enough for"
        " a handful of requests to the API server.",
    )
    answer_s: float = Field(
        4.0,
        gt=0,
        description="Longest wait for an answer of the API server or of Redis; then nothing is"
        " changed in this round.",
    )
    lease_name: str = Field(
        "kiosk-autoscaler",
        description="Name of the Lease by which one of several autoscalers leads.",
    )
    lease_duration_s: float = Field(
        15.0,
        ge=3,
        description="A leader that died is followed by another after so long. As usual in"
        " Kubernetes.",
    )
