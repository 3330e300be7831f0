"""How a process can be looked at from outside."""

from __future__ import annotations

from pydantic import Field

from kiosk.settings.group import Group


class StatusSettings(Group):
    """A port of each role for metrics and probes; it asks nobody who they are."""

    host: str = Field(
        "127.0.0.1",
        description="Address of the status port. 0.0.0.0 in a pod, where a network policy says who"
        " may look.",
    )
    port: int = Field(
        0,
        ge=0,
        le=65535,
        description="Port of /metrics, /healthz (it runs) and /readyz (it can work). 0: none;"
        " `kiosk up` picks free ones.",
    )


class TracingSettings(Group):
    """Traces of jobs, for an OpenTelemetry collector."""

    endpoint: str = Field(
        "",
        description="Where spans are sent to (OTLP over gRPC), e.g. http://collector:4317. Empty:"
        " nothing is traced.",
    )
    sample_ratio: float = Field(
        1.0, ge=0, le=1, description="Share of the jobs that are traced; 0.01 for a busy cluster."
    )
