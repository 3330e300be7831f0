"""A real Prometheus looks at a real kiosk: every query of the dashboard, every alert rule.

Needs the binaries `prometheus` and `promtool` (apt-get install prometheus); `make test-monitoring`
runs it. Nothing is left running.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import ProxyHandler, build_opener

import numpy as np
import pytest
import tifffile
import yaml

from kiosk.client import Kiosk
from kiosk.demo import started
from kiosk.errors import KioskError
from kiosk.imaging.sample import make_sample
from kiosk.machine import RunningKiosk, free_port, server_files
from kiosk.settings import CHECKOUT, Settings

FOLDER = CHECKOUT / "deploy/monitoring"
DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text())
RULES = yaml.safe_load((FOLDER / "rules.yaml").read_text())["spec"]
# Panels that show something on any kiosk that has done a job. Others need GPUs, errors, a cluster.
SHOWN = {
    *("Open jobs", "Oldest that waits", "Jobs done per hour", "Pixels per second", "Consumers"),
    *("Work of one slot for the backlog", "Pixels that wait", "Per gigapixel"),
    *("Backlog", "Jobs accepted and ended per minute", "Busy slots of consumers"),
    *("From submitting to success", "Stages of a job, mean", "Steps of a part, mean"),
    *("Requests to Triton", "gRPC calls, p95", "Jobs per minute by outcome"),
    *("Tiles per second", "Uploads", "Tiles per batch", "Time of a tile in Triton, mean"),
    *("Processor and memory of Triton", "Parts that were not done, per minute"),
    *("Per hour", "Per 1,000 images", "Memory", "Processors", "Versions"),
}
WITHIN_S = 60.0

pytestmark = [pytest.mark.servers, pytest.mark.slow]


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.2)


class Prometheus:
    """A Prometheus that reads what `kiosk up` has written, four times as often."""

    def __init__(self, folder: Path, config: Path) -> None:
        self.rules, self.config = folder / "rules.yml", folder / "prometheus.yml"
        self.rules.write_text(yaml.safe_dump({"groups": RULES["groups"]}))
        changed = yaml.safe_load(config.read_text())
        changed["global"] |= {"scrape_interval": "1s", "evaluation_interval": "1s"}
        self.config.write_text(yaml.safe_dump({**changed, "rule_files": [str(self.rules)]}))
        self.address = f"127.0.0.1:{free_port()}"
        self._log = (folder / "prometheus.log").open("wb")
        self.process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={self.config}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={self.address}",
            ],
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )

    def ask(self, path: str, **query: str) -> dict[str, Any]:
        url = f"http://{self.address}/api/v1/{path}?{urlencode(query)}"
        with build_opener(ProxyHandler({})).open(url, timeout=10) as answer:
            return json.load(answer)

    def query(self, expression: str) -> list[Any]:
        answer = self.ask("query", query=expression)
        assert answer["status"] == "success", expression
        return answer["data"]["result"]

    def has(self, expression: str) -> bool:
        try:
            return bool(self.query(expression))
        except URLError:
            return False

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)
        self._log.close()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kiosk")


@pytest.fixture(scope="module")
def kiosk(home: Path) -> Iterator[RunningKiosk]:
    if missing := [name for name in ("prometheus", "promtool") if not shutil.which(name)]:
        pytest.skip(f"{' and '.join(missing)} not found: apt-get install prometheus")
    try:
        server_files(Settings().servers_dir)
    except KioskError as error:
        pytest.skip(error.message)
    with started(home) as running:
        yield running


@pytest.fixture(scope="module")
def prometheus(
    home: Path, kiosk: RunningKiosk, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    """It has seen the kiosk before, during and after some jobs."""
    folder = tmp_path_factory.mktemp("prometheus")
    prometheus = Prometheus(folder, home / "run" / "prometheus.yml")
    try:
        wait_until(lambda: prometheus.has("count(up == 1) == 3"))
        image = make_sample(frames=1, height_px=160, width_px=160, nuclei=8).images
        tifffile.imwrite(folder / "cells.tif", np.asarray(image[0]))
        with Kiosk(kiosk.grpc_address) as client:
            for _ in range(2):
                client.segment(folder / "cells.tif", model="nuclei")
                wait_until(lambda: prometheus.has("sum(kiosk_job_duration_seconds_count) > 0"))
        wait_until(lambda: prometheus.has("sum(rate(kiosk_job_duration_seconds_count[1m])) > 0"))
        wait_until(lambda: prometheus.has("sum(rate(nv_inference_count[1m])) > 0"))
        wait_until(lambda: prometheus.has("kiosk_model_slot_px_per_second"))
        yield prometheus
    finally:
        prometheus.stop()


def as_asked(expression: str) -> str:
    """An expression of the dashboard with its variables filled in, as Grafana does it."""
    values = {"$__rate_interval": "1m", "$namespace": ".*", "$price_per_gpu_hour": "0.75"}
    for name, value in values.items():
        expression = expression.replace(name, value)
    return expression


def test_rules_and_configuration_are_taken(prometheus: Prometheus) -> None:
    for what, file in (("rules", prometheus.rules), ("config", prometheus.config)):
        done = subprocess.run(
            ["promtool", "check", what, file], check=False, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_query_of_the_dashboard_is_answered(prometheus: Prometheus) -> None:
    titles = set()
    for panel in DASHBOARD["panels"]:
        found = [prometheus.query(as_asked(t["expr"])) for t in panel.get("targets", [])]
        if panel["title"] in SHOWN:
            assert any(found), panel["title"]
        titles.add(panel["title"])
    assert titles >= SHOWN


def test_every_rule_is_evaluated_and_none_fires(prometheus: Prometheus) -> None:
    wait_until(
        lambda: (
            all(rule["health"] == "ok" for rule in rules_of(prometheus)) and rules_of(prometheus)
        )
    )
    for rule in rules_of(prometheus):
        prometheus.query(rule["query"])
        assert rule["state"] == "inactive", rule["name"]


def rules_of(prometheus: Prometheus) -> list[dict[str, Any]]:
    (group,) = prometheus.ask("rules")["data"]["groups"]
    return group["rules"]


def test_all_processes_are_looked_at_and_say_what_they_are(
    kiosk: RunningKiosk, prometheus: Prometheus
) -> None:
    pods = {item["metric"]["pod"] for item in prometheus.query("up == 1")}
    assert pods == set(kiosk.metrics) == {"triton", "server", "consumer-1"}
    roles = {item["metric"]["role"] for item in prometheus.query("kiosk_build_info")}
    assert roles == {"server", "consumer"}
    assert prometheus.query("kiosk_queue_up")[0]["value"][1] == "1"
