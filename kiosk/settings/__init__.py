"""All settings of the kiosk. This package alone reads the environment, here and nowhere else.

Every setting can be given as an environment variable: `KIOSK_` in front, `__` between the
group and the name, e.g. `KIOSK_LIMITS__UPLOAD_BYTES=1000000000`. `kiosk settings` prints
them all with the values in force.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from kiosk.settings.access import DEEPCELL_MODELS as DEEPCELL_MODELS
from kiosk.settings.access import AuthSettings, ServerSettings
from kiosk.settings.autoscaling import AutoscalerSettings as AutoscalerSettings
from kiosk.settings.group import GIB as GIB
from kiosk.settings.group import MIB as MIB
from kiosk.settings.limits import LimitSettings as LimitSettings
from kiosk.settings.local import LocalSettings
from kiosk.settings.observing import StatusSettings, TracingSettings
from kiosk.settings.work import (
    ConsumerSettings,
    QueueSettings,
    StoreSettings,
    TritonSettings,
)
from kiosk.settings.work import DecodingSettings as DecodingSettings

CHECKOUT = Path(__file__).resolve().parents[2]


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
    log_format: Literal["plain", "json"] = Field(
        "plain", description="`json`: one object per line with the id of the job, for a collector."
    )
    limits: LimitSettings = LimitSettings()
    queue: QueueSettings = QueueSettings()
    consumer: ConsumerSettings = ConsumerSettings()
    decoding: DecodingSettings = DecodingSettings()
    triton: TritonSettings = TritonSettings()
    store: StoreSettings = StoreSettings()
    listen: ServerSettings = ServerSettings()
    auth: AuthSettings = AuthSettings()
    local: LocalSettings = LocalSettings()
    status: StatusSettings = StatusSettings()
    tracing: TracingSettings = TracingSettings()
    autoscaler: AutoscalerSettings = AutoscalerSettings()

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
