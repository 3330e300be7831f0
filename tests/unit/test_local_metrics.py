"""The Prometheus configuration of `kiosk up`, and the ports of its processes."""

from __future__ import annotations

from pathlib import Path

import yaml

from kiosk.local import choose_addresses, kiosk_roles, make_folders
from kiosk.local_metrics import prometheus_config
from kiosk.settings import Settings
from kiosk.settings.access import ServerSettings
from kiosk.settings.local import LocalSettings


def test_each_kind_of_process_is_a_job_with_all_its_processes() -> None:
    ports = {"triton": 1, "server": 2, "consumer-1": 3, "consumer-2": 4}
    config = yaml.safe_load(prometheus_config(ports))
    jobs = {item["job_name"]: item["static_configs"] for item in config["scrape_configs"]}
    assert set(jobs) == {"kiosk-triton", "kiosk-server", "kiosk-consumer"}
    assert jobs["kiosk-consumer"] == [
        {"targets": ["127.0.0.1:3"], "labels": {"pod": "consumer-1"}},
        {"targets": ["127.0.0.1:4"], "labels": {"pod": "consumer-2"}},
    ]


def test_each_process_keeps_a_status_port_of_its_own(tmp_path: Path) -> None:
    settings = Settings(
        home=tmp_path,
        local=LocalSettings(consumers=3),
        listen=ServerSettings(grpc_port=0, web_port=0),
    )
    make_folders(tmp_path)
    addresses = choose_addresses(settings)
    told = {
        spec.name: int(spec.environment["KIOSK_STATUS__PORT"])
        for spec in kiosk_roles(settings, addresses)
    }
    # The environment belongs to the child, so one that is started again has the same port.
    assert set(told) == {"server", "consumer-1", "consumer-2", "consumer-3"}
    assert {"triton": addresses.metrics_ports["triton"], **told} == addresses.metrics_ports
    assert len(set(addresses.metrics_ports.values())) == 5
