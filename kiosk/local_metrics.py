"""The Prometheus configuration that `kiosk up` writes: the dashboard's metrics on one machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from kiosk.machine import write_private

PROMETHEUS_FILE = "prometheus.yml"
SCRAPE_S = 5


def prometheus_config(ports: Mapping[str, int]) -> str:
    """A configuration with one job for each kind of process.

    Args:
        ports: of the metrics on loopback, by the names of the processes ("consumer-1").
    """
    by_kind: dict[str, list[dict[str, object]]] = {}
    for name, port in ports.items():
        target: dict[str, object] = {"targets": [f"127.0.0.1:{port}"], "labels": {"pod": name}}
        by_kind.setdefault(name.split("-", 1)[0], []).append(target)
    config = {
        "global": {"scrape_interval": f"{SCRAPE_S}s"},
        "scrape_configs": [
            {"job_name": f"kiosk-{kind}", "static_configs": targets}
            for kind, targets in by_kind.items()
        ],
    }
    return json.dumps(config, indent=2) + "\n"  # JSON is YAML


def write_prometheus_config(home: Path, ports: Mapping[str, int]) -> Path:
    """Write it into a home folder; returns where it is."""
    file = home / "run" / PROMETHEUS_FILE
    write_private(file, prometheus_config(ports))
    return file
