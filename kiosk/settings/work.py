"""How the work of jobs is handed out and done."""

from __future__ import annotations

from pydantic import Field, SecretStr

from kiosk.settings.group import GIB, MIB, Group


class QueueSettings(Group):
    """How parts are handed out, leased and tried again."""

    redis_url: SecretStr = Field(
        SecretStr("redis://127.0.0.1:6379/0"), description="Where Redis is, with its password."
    )
    lease_s: float = Field(
        30.0,
        gt=0,
        description="A part whose consumer has not been heard of for this long goes to another."
        " Renewed three times per period, so only a dead or frozen consumer loses it.",
    )
    attempts: int = Field(
        3, gt=0, description="After this many attempts a part goes to the dead letters."
    )
    retry_delay_s: float = Field(
        1.0, ge=0, description="Wait before the second attempt; doubles with each further one."
    )
    window_parts: int = Field(
        16,
        gt=0,
        description="Parts of one job that are handed out at a time, so that a long job leaves"
        " room for short ones.",
    )
    owner_parts: int = Field(
        0,
        ge=0,
        description="Parts of one owner that are handed out at a time; 0 = any number. Owners take"
        " turns anyway; a bound keeps some consumers free for whoever comes next.",
    )
    interactive_jobs: int = Field(
        8,
        ge=0,
        description="A job whose priority nobody chose is interactive while its owner has fewer"
        " unfinished jobs than this, and batch from there on: who sends thousands can wait.",
    )
    outages: int = Field(
        20,
        gt=0,
        description="So often a part is put off because Triton, the store or the disk is out of"
        " order, a minute apart at most, before that counts as an attempt.",
    )


class ConsumerSettings(Group):
    """What one consumer process does at a time."""

    parts_in_flight: int = Field(
        2,
        gt=0,
        description="Parts at a time: two let the post-processing of one plane overlap the"
        " inference of the next.",
    )
    tiles_in_flight: int = Field(
        4, gt=0, description="Tiles of one part that are at Triton at a time, so it can batch."
    )
    part_timeout_s: float = Field(
        900.0,
        gt=0,
        description="Longest time for one part. An image that hangs its reader costs one attempt,"
        " not a consumer for ever.",
    )
    join_part_timeout_s: float = Field(
        10.0,
        ge=0,
        description="So much longer may the join take for each part of its job, on top of the time"
        " for one part: joining a slide takes about half a second for each of its blocks.",
    )
    stop_grace_s: float = Field(
        20.0, ge=0, description="On SIGTERM, parts in hand get this long before they go back."
    )
    block_px: int = Field(
        2560,
        ge=64,
        description="Side of a block. Larger planes are cut into blocks, each a part of its own."
        " Planes of most cameras are one block; two blocks at a time take below 1 GiB.",
    )
    block_halo_px: int = Field(
        128,
        ge=0,
        description="Margin that a block shares with its neighbours. Instances wider than this"
        " may be cut at the border of a block.",
    )


class DecodingSettings(Group):
    """The processes that read images, one for each; their files come from anybody."""

    memory_bytes: int = Field(
        4 * GIB,
        ge=512 * MIB,
        description="Most memory for reading one image, the program itself (100 MB) included. The"
        " largest planes that other limits allow take below 3 GiB.",
    )
    file_bytes: int = Field(
        16 * GIB,
        gt=0,
        description="Longest temporary file for reading one image: a member of a zip unpacked, or a"
        " copy for a reader that needs a path. Twice the largest upload.",
    )
    open_timeout_s: float = Field(
        30.0,
        gt=0,
        description="Longest time for the headers of an image, which take milliseconds; some files"
        " are made so that it takes hours. Waiting for the object store does not count.",
    )
    plane_timeout_s: float = Field(
        300.0,
        gt=0,
        description="Longest time for one plane, or a window of it. A gigabyte of compressed pixels"
        " takes half a minute.",
    )


class TritonSettings(Group):
    """The Triton Inference Server."""

    address: str = Field(
        "127.0.0.1:8001",
        description="Host and port of Triton's gRPC endpoint, by default on this machine."
        " Of several Tritons: dns:///NAME:PORT for all addresses of a name, or"
        " ipv4:HOST:PORT,HOST:PORT.",
    )
    secret: SecretStr = Field(
        SecretStr(""),
        description="Word without which Triton answers nobody but probes of its health; it is told"
        " with `--grpc-restricted-protocol`. `kiosk up` makes one up. Empty: none.",
    )
    timeout_s: float = Field(120.0, gt=0, description="Longest wait for one tile.")
    may_sleep: bool = Field(
        False,
        description="Triton may be scaled to zero: jobs are accepted and planned while it is away,"
        " for the models that it had last. For clusters with an autoscaler; elsewhere a Triton that"
        " is away is out of order, and whoever submits is told so.",
    )


class StoreSettings(Group):
    """The object store, where it is a bucket."""

    retry_s: float = Field(
        30.0,
        gt=0,
        description="For so long a request that failed is sent again, with growing pauses. After"
        " that the store counts as away: parts wait until it is back, and no attempt is lost.",
    )
