"""Spans for an OpenTelemetry collector: what was done for a job, by whom, for how long.

A trace is a job's: the span of the call that submits it is the parent of what consumers do later.
OpenTelemetry is loaded only where an endpoint is set; without one, all of this does nothing.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor

Attributes = Mapping[str, str | int | float | bool]

# What was not sent by then is lost: a collector that is away holds up nobody's end.
STOP_S = 2.0
SEND_S = 5.0
# A collector that is away is told of so often, not with every batch.
TOLD_S = 600.0

_provider: Any = None
_tracer: Any = None


def configure_tracing(role: str, endpoint: str, sample_ratio: float = 1.0) -> None:
    """Send spans to a collector (OTLP over gRPC) from now on; "" = trace nothing.

    They go out from a thread of their own, some seconds after they end. While the collector is
    away, the newest few thousand are kept; its absence is a line in the log.
    """
    if not endpoint:
        return
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    logger = logging.getLogger("opentelemetry.exporter.otlp.proto.grpc.exporter")
    logger.setLevel(logging.ERROR)  # not each time that it tries again
    logger.addFilter(SeldomTold())
    exporter = OTLPSpanExporter(endpoint=endpoint, timeout=SEND_S)
    trace_to(BatchSpanProcessor(exporter), role, sample_ratio)


def trace_to(processor: SpanProcessor, role: str, sample_ratio: float = 1.0) -> None:
    """Hand spans to a processor from now on.

    OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say who sends them, before what is said here.
    A call that is traced already is traced on, whatever the ratio.
    """
    global _provider, _tracer  # noqa: PLW0603 - a process is traced or not
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

    ours = Resource({"service.name": f"kiosk-{role}", "service.namespace": "kiosk"})
    _provider = TracerProvider(
        resource=Resource.create().merge(ours).merge(OTELResourceDetector().detect()),
        sampler=ParentBased(TraceIdRatioBased(sample_ratio)),
        shutdown_on_exit=False,
    )
    _provider.add_span_processor(processor)
    _tracer = _provider.get_tracer("kiosk")


def stop_tracing() -> None:
    """Send what is left, within `STOP_S`."""
    global _provider, _tracer  # noqa: PLW0603
    if _provider is None:
        return
    sending = threading.Thread(target=_provider.shutdown, daemon=True)
    _provider = _tracer = None
    sending.start()
    sending.join(STOP_S)


class SeldomTold(logging.Filter):
    """Lets one line through in ten minutes."""

    def __init__(self) -> None:
        super().__init__()
        self._quiet_until_s = float("-inf")

    def filter(self, record: logging.LogRecord) -> bool:
        if time.monotonic() < self._quiet_until_s:
            return False
        self._quiet_until_s = time.monotonic() + TOLD_S
        return True


@contextmanager
def served(name: str, traceparent: str, attributes: Attributes) -> Iterator[None]:
    """The span of a call from outside; it continues the trace of its caller, if there is one."""
    if _tracer is None:
        yield
        return
    with _started(name, "SERVER", attributes, _continued(traceparent)):
        yield


@contextmanager
def worked(name: str, traceparent: str, attributes: Attributes) -> Iterator[None]:
    """The span of a part, in the trace of its job; nothing for a job that is not traced."""
    if _tracer is None or not traceparent:
        yield
        return
    with _started(name, "CONSUMER", attributes, _continued(traceparent)):
        yield


@contextmanager
def step(
    name: str, attributes: Attributes | None = None, *, kind: str = "INTERNAL"
) -> Iterator[None]:
    """A span within the one that is open here; nothing where none is."""
    if _tracer is None or not trace_id():
        yield
        return
    with _started(name, kind, attributes or {}):
        yield


@contextmanager
def _started(name: str, kind: str, attributes: Attributes, context: Any = None) -> Iterator[None]:
    from opentelemetry.trace import SpanKind

    with _tracer.start_as_current_span(
        name,
        context=context,
        kind=SpanKind[kind],
        attributes=attributes,
        # Errors are told in a sentence; a traceback belongs in the log.
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield
        except Exception as error:
            if span.is_recording() and span.status.is_unset:
                failed(str(error) or type(error).__name__)
            raise


def _continued(traceparent: str) -> Any:
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier = {"traceparent": traceparent}
    return TraceContextTextMapPropagator().extract(carrier, context=Context())


def tell(attributes: Attributes) -> None:
    """More about the span that is open here."""
    if _tracer is not None:
        from opentelemetry.trace import get_current_span

        get_current_span().set_attributes(attributes)


def failed(why: str) -> None:
    """What the span that is open here stands for has gone wrong."""
    if _tracer is not None:
        from opentelemetry.trace import Status, StatusCode, get_current_span

        get_current_span().set_status(Status(StatusCode.ERROR, why))


def traceparent() -> str:
    """The span that is open here as a W3C `traceparent`; "" where there is none."""
    if _tracer is None:
        return ""
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get("traceparent", "")


def trace_id() -> str:
    """The trace that is open here, as 32 hexadecimal digits; "" where there is none to be found."""
    if _tracer is None:
        return ""
    from opentelemetry.trace import format_trace_id, get_current_span

    context = get_current_span().get_span_context()
    return format_trace_id(context.trace_id) if context.trace_flags.sampled else ""
