"""All settings of the kiosk. The only file that reads the environment.

Every setting can be given as an environment variable: `KIOSK_` in front, `__` between the
group and the name, e.g. `KIOSK_LIMITS__UPLOAD_BYTES=1000000000`. `kiosk settings` prints
them all with the values in force.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

CHECKOUT = Path(__file__).resolve().parent.parent

MIB = 1024 * 1024
GIB = 1024 * MIB
DEEPCELL_MODELS = "segmentation=nuclei cytoplasm=cells caliban=nuclei"


class Group(BaseModel):
    """A group of settings; frozen, unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class LimitSettings(Group):
    """Bounds that keep one request from taking the machine down."""

    upload_bytes: int = Field(
        8 * GIB, gt=0, description="Largest upload. Bounded by the disk of a laptop."
    )
    plane_px: int = Field(
        100_000_000,
        gt=0,
        description="Most pixels that are unpacked at a time (10,000 x 10,000). It bounds planes"
        " of PNG and JPEG and the strips and tiles of TIFF, and with them the memory of a consumer"
        " to about 1 GiB.",
    )
    slide_px: int = Field(
        10_000_000_000,
        gt=0,
        description="Largest plane in pixels (100,000 x 100,000) where windows of it can be read,"
        " as in tiled TIFF. Whole slides reach this; memory does not grow with it, but time and"
        " disk do.",
    )
    planes: int = Field(
        20_000, gt=0, description="Most planes in one image; each is a part in the queue."
    )
    job_px: int = Field(
        200_000_000_000,
        gt=0,
        description="Most pixels in one job, all planes together: 20 slides of the largest size, or"
        " 40,000 frames of a camera. Ten hours for a GPU, a day for a laptop.",
    )
    frame_px: int = Field(
        150_000_000,
        gt=0,
        description="Most pixels of a frame that is tracked, all planes along z together: it is"
        " whole in memory, about 15 bytes for each pixel.",
    )
    table_bytes: int = Field(
        512 * MIB,
        gt=0,
        description="Longest corrected table of tracks, which is read as a whole (ten million"
        " rows).",
    )
    unpack_ratio: int = Field(
        2_000,
        gt=0,
        description="Most bytes of pixels per byte of file, where they are more than two planes of"
        " `plane_px` bytes. Deflate reaches about 1,000 on an empty plane; more is taken for a"
        " decompression bomb.",
    )
    zip_members: int = Field(
        10_000, gt=0, description="Most images in one zip archive or plate; each is a job."
    )
    zip_entries: int = Field(
        200_000,
        gt=0,
        description="Most entries in one zip archive, chunks of an OME-Zarr included. The list of"
        " them is in memory while the archive is read (about 90 MB).",
    )
    open_jobs: int = Field(
        100_000,
        gt=0,
        description="Most unfinished jobs; more are answered 'try again later'. Each takes about"
        " 1 KB of Redis' memory.",
    )
    owner_open_jobs: int = Field(
        50_000, gt=0, description="Most unfinished jobs of one owner: a large screen, overnight."
    )
    open_parts: int = Field(
        2_000_000,
        gt=0,
        description="Most parts that wait or are being done; while there are more, no new job is"
        " taken. A job has at most as many parts as it has planes or blocks.",
    )
    free_disk_bytes: int = Field(
        GIB,
        ge=0,
        description="While a disk of the kiosk has less room, uploads and jobs are answered 'try"
        " again later': what was accepted needs some to get to its end. 0 = no check.",
    )


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

    address: str = Field("127.0.0.1:8001", description="Host and port of Triton's gRPC endpoint.")
    secret: SecretStr = Field(
        SecretStr(""),
        description="Word without which Triton answers nobody but probes of its health; it is told"
        " with `--grpc-restricted-protocol`. `kiosk up` makes one up. Empty: none.",
    )
    timeout_s: float = Field(120.0, gt=0, description="Longest wait for one tile.")


class StoreSettings(Group):
    """The object store, where it is a bucket."""

    retry_s: float = Field(
        30.0,
        gt=0,
        description="For so long a request that failed is sent again, with growing pauses. After"
        " that the store counts as away: parts wait until it is back, and no attempt is lost.",
    )


class ServerSettings(Group):
    """The server that answers gRPC and the web page."""

    host: str = Field("127.0.0.1", description="Address to listen on; loopback by default.")
    grpc_port: int = Field(50051, ge=0, le=65535, description="Port of the gRPC API.")
    web_port: int = Field(8080, ge=0, le=65535, description="Port of the web page and HTTP API.")
    public_url: str = Field(
        "",
        pattern=r"^(|https?://[^/]+)$",
        description="Where people reach the page, e.g. https://kiosk.lab.example, if a proxy stands"
        " in front: for links, cookies, and to tell our own page from others.",
    )
    tls_cert_file: Path | None = Field(
        None,
        description="Certificate chain (PEM) for both ports, with `tls_key_file`. New files are"
        " taken without a restart. Default: no TLS.",
    )
    tls_key_file: Path | None = Field(
        None, description="Private key (PEM, no password) of the certificate."
    )
    audit_file: Path | None = Field(
        None,
        description="A line of JSON for each call that changes something: who, what, when, from"
        " where. Default: in the server's log.",
    )
    retention_s: float = Field(
        7 * 24 * 3600.0, gt=0, description="Uploads and jobs are deleted after this long (7 days)."
    )
    deepcell_models: str = Field(
        DEEPCELL_MODELS,
        pattern=r"^( *[\w-]+=[\w.-]+)*$",
        description="Programs written for the DeepCell Kiosk may use this one: their types of jobs"
        " and the models that do them. Empty: they may not.",
    )
    preview_s: float = Field(
        3600.0, gt=0, description="Previews of a region are deleted after this long (an hour)."
    )
    idle_s: float = Field(
        75.0,
        gt=0,
        description="HTTP connections that stand still for so long are closed: between requests, in"
        " the middle of one, or not taking the answer. More than the 60 s of most proxies, which"
        " must not find a connection closed that they use again.",
    )
    longest_retention_s: float = Field(
        365 * 24 * 3600.0,
        gt=0,
        description="A job may be kept so long at most, counted from when that is asked (a year).",
    )
    longest_share_s: float = Field(
        30 * 24 * 3600.0,
        gt=0,
        description="A share link ends after so long at the latest (30 days): links get around.",
    )
    sweep_s: float = Field(60.0, gt=0, description="How often expired jobs are looked for.")

    @model_validator(mode="after")
    def _certificates_have_keys(self) -> ServerSettings:
        if (self.tls_cert_file is None) != (self.tls_key_file is None):
            raise ValueError("tls_cert_file and tls_key_file go together")
        return self


class AuthSettings(Group):
    """Who may use the kiosk."""

    required: bool = Field(
        False,
        description="Ask every caller who they are: an API key (`kiosk keys create`) or a token of"
        " the identity provider. Off by default, because only this machine reaches loopback.",
    )
    insecure: bool = Field(
        False,
        description="Listen on other addresses than loopback and still ask nobody. As `--insecure`:"
        " only where everybody who reaches the address may do everything.",
    )
    memory_s: float = Field(
        2.0,
        ge=0,
        description="A credential is looked up again after this long; so long a key that was"
        " revoked may still be used.",
    )
    session_s: float = Field(
        12 * 3600.0, gt=0, description="So long one stays signed in on the page: a working day."
    )
    oidc_issuer: str = Field(
        "",
        pattern=r"^(|https://.+|http://(127\.0\.0\.1|localhost|\[::1\])[:/].*)$",
        description="Identity provider (OpenID Connect) whose tokens count, by its https address."
        " Empty: none.",
    )
    oidc_audience: str = Field(
        "", description="For whom its tokens must be made (`aud`): the client id of this kiosk."
    )
    oidc_jwks_url: str = Field(
        "", description="Where its keys are. Empty: where its discovery document says."
    )
    oidc_owner_claim: str = Field(
        "sub",
        min_length=1,
        description="Claim that names the owner. `sub` never changes; `email` can be read, but only"
        " take it where people cannot change it themselves.",
    )
    oidc_admin_claim: str = Field(
        "", description="Claim, e.g. `groups`, that tells administrators. Empty: there are none."
    )
    oidc_admin_value: str = Field(
        "", description="Who has this value in that claim, alone or in a list, is administrator."
    )

    @model_validator(mode="after")
    def _issuer_has_an_audience(self) -> AuthSettings:
        if self.oidc_issuer and not self.oidc_audience:
            # Otherwise a token that was made for any other program would open the kiosk.
            raise ValueError("oidc_issuer needs oidc_audience")
        if self.oidc_admin_claim and not self.oidc_admin_value:
            raise ValueError("oidc_admin_claim needs oidc_admin_value")
        return self


class LocalSettings(Group):
    """`kiosk up`: everything on one machine."""

    consumers: int = Field(1, gt=0, description="Consumer processes.")
    redis_bytes: int = Field(
        2 * GIB,
        gt=0,
        description="Memory that Redis may use. Near this no new jobs are taken, while those that"
        " are there go on: a kiosk that is full says so, instead of taking the machine's memory.",
    )
    servers_dir: Path | None = Field(
        None,
        description="Environment that holds the Triton and Redis binaries, made by `make setup`."
        " Default: `.servers` in the checkout.",
    )


def _default_home() -> Path:
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "kiosk"


class Settings(BaseSettings):
    """The settings of one process, read once and handed down."""

    model_config = SettingsConfigDict(
        env_prefix="KIOSK_", env_nested_delimiter="__", frozen=True, extra="ignore"
    )

    home: Path = Field(
        default_factory=_default_home, description="Everything a local kiosk writes is in here."
    )
    server: str = Field(
        "127.0.0.1:50051",
        description="Server that the client and the commands talk to; grpcs://HOST:PORT for TLS.",
    )
    api_key: SecretStr = Field(
        SecretStr(""), description="API key that the client and the commands show."
    )
    ca_file: Path | None = Field(
        None,
        description="Certificates that vouch for the server's, for the client and the commands."
        " Default: those that the machine trusts.",
    )
    object_store: str = Field(
        "",
        description="Where uploads and results are: a folder, s3://bucket/prefix or"
        " gs://bucket/prefix. Default: `objects` under the home folder.",
    )
    scratch_dir: Path | None = Field(
        None,
        description="Folder for temporary files: labels of a large plane while it is joined (4"
        " bytes per pixel), results while they are written, uploads while they are put together."
        " Default: the system's (TMPDIR). Where that is memory, as in many containers, choose a"
        " disk.",
    )
    image_urls: str = Field(
        "",
        description="Folders and buckets that uploads may point to instead of sending bytes, with"
        " spaces between them, e.g. 's3://lab-images/ file:///data/slides/'. Empty: none, because"
        " the kiosk reads them with its own rights.",
    )
    model_repository: Path = Field(
        CHECKOUT / "model_repository", description="Triton model repository that `kiosk up` serves."
    )
    frontend: Path = Field(
        CHECKOUT / "frontend" / "dist", description="Folder of the web page, as built."
    )
    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR.")
    limits: LimitSettings = LimitSettings()
    queue: QueueSettings = QueueSettings()
    consumer: ConsumerSettings = ConsumerSettings()
    decoding: DecodingSettings = DecodingSettings()
    triton: TritonSettings = TritonSettings()
    store: StoreSettings = StoreSettings()
    listen: ServerSettings = ServerSettings()
    auth: AuthSettings = AuthSettings()
    local: LocalSettings = LocalSettings()

    @property
    def object_store_url(self) -> str:
        return self.object_store or str(self.home / "objects")

    @property
    def servers_dir(self) -> Path:
        return self.local.servers_dir or Path(sys.prefix).parent / ".servers"


def child_environment(settings: Settings, **overrides: str) -> dict[str, str]:
    """The environment of a child process: ours plus the given KIOSK_ variables."""
    return {**os.environ, "KIOSK_HOME": str(settings.home), **overrides}


# What a process needs to find its libraries, and nothing of what it could tell.
_LIBRARIES = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TZ")
# What buckets are opened with.
_STORES = ("AWS_", "GOOGLE_", "SSL_CERT_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


def reader_environment() -> dict[str, str]:
    """The environment of the processes that read images: no addresses, no secrets, no threads."""
    ours = {name: os.environ[name] for name in _LIBRARIES if name in os.environ}
    # No threads, not even for tidying up: what forks must have none.
    alone = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    return {**ours, **alone, "JE_ARROW_MALLOC_CONF": "background_thread:false"}


def store_environment() -> dict[str, str]:
    """The variables that buckets are opened with, secrets included."""
    return {
        name: value for name, value in os.environ.items() if name.upper().startswith(_STORES)
    } | {name: os.environ[name] for name in ("HOME",) if name in os.environ}


def take_environment(variables: dict[str, str]) -> None:
    """Have libraries of this process see variables of another one."""
    os.environ.update(variables)


def leave_children_alone() -> None:
    """Turn off gRPC's care for forked children; to be called before gRPC is first imported.

    It can end a child before that becomes another program (grpc pull request 43157). Nothing here
    forks without becoming another program.
    """
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
