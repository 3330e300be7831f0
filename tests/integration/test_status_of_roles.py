"""A real server and a real consumer, as a cluster sees them: probes, metrics, SIGTERM."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, build_opener

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from kiosk.machine import free_ports

if TYPE_CHECKING:
    from tests.conftest import RedisServer

WITHIN_S = 60.0
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@dataclass
class Role:
    """A process with a status port, and what it has logged."""

    process: subprocess.Popen[bytes]
    status_port: int
    grpc_port: int
    log: Path

    def get(self, path: str) -> tuple[int, str]:
        """Status, 0 where nobody answers, and body."""
        url = f"http://127.0.0.1:{self.status_port}{path}"
        try:
            with build_opener(ProxyHandler({})).open(url, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as error:
            return error.code, error.read().decode()
        except (URLError, OSError):
            return 0, ""

    def becomes(self, path: str, status: int) -> None:
        deadline = time.monotonic() + WITHIN_S
        while self.get(path)[0] != status:
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, (path, status, self.log.read_text())
            time.sleep(0.05)

    def lines(self) -> list[dict[str, str]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str, str], Role]]:
    """Starts a role over a Redis; there is no Triton."""
    started: list[Role] = []

    def start(role: str, redis_url: str) -> Role:
        grpc_port, web_port, status_port, triton_port = free_ports(4)
        log = tmp_path / f"{role}.log"
        environment = {
            **os.environ,
            "KIOSK_HOME": str(tmp_path),
            "KIOSK_QUEUE__REDIS_URL": redis_url,
            "KIOSK_TRITON__ADDRESS": f"127.0.0.1:{triton_port}",
            "KIOSK_LISTEN__GRPC_PORT": str(grpc_port),
            "KIOSK_LISTEN__WEB_PORT": str(web_port),
            "KIOSK_STATUS__PORT": str(status_port),
            "KIOSK_LOG_FORMAT": "json",
        }
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "kiosk.cli", role],
                env=environment,
                stdout=output,
                stderr=output,
            )
        started.append(Role(process, status_port, grpc_port, log))
        return started[-1]

    yield start
    for role in started:
        role.process.terminate()
        role.process.wait(30)


def test_a_server_is_ready_while_redis_answers(
    start: Callable[[str, str], Role], new_redis: Callable[[], RedisServer]
) -> None:
    redis = new_redis()
    server = start("server", redis.url)
    server.becomes("/readyz", 200)
    assert 'kiosk_build_info{role="server"' in server.get("/metrics")[1]
    assert "kiosk_queue_backlog_jobs 0.0" in server.get("/metrics")[1]
    assert "kiosk_consumer_slots" not in server.get("/metrics")[1]
    redis.stop()
    server.becomes("/readyz", 503)
    assert json.loads(server.get("/readyz")[1])["redis"] is False
    assert server.get("/healthz")[0] == 200
    assert "kiosk_queue_up 0.0" in server.get("/metrics")[1]
    redis.start()
    server.becomes("/readyz", 200)


def test_a_server_that_is_told_to_stop_says_so_until_its_calls_have_ended(
    start: Callable[[str, str], Role], redis_url: str
) -> None:
    server = start("server", redis_url)
    server.becomes("/readyz", 200)
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        health = health_pb2_grpc.HealthStub(channel)
        states = health.Watch(health_pb2.HealthCheckRequest(service="kiosk.v1.Kiosk"))
        assert next(states).status == SERVING
        server.process.terminate()
        assert next(states).status == NOT_SERVING
        status, body = server.get("/readyz")
        assert (status, json.loads(body)["draining"]) == (503, True)
        states.cancel()
    assert server.process.wait(30) == 0
    lines = server.lines()
    assert {line["role"] for line in lines} == {"server"}
    assert any(line["message"].startswith("serving gRPC") for line in lines)


def test_a_consumer_is_ready_without_triton(
    start: Callable[[str, str], Role], redis_url: str
) -> None:
    consumer = start("consumer", redis_url)
    consumer.becomes("/readyz", 200)
    told = json.loads(consumer.get("/readyz")[1])
    assert told == {
        "role": "consumer",
        "ready": True,
        "redis": True,
        "stopping": False,
        "parts": 0,
        "waits_for": "",
    }
    assert "kiosk_consumer_slots 2.0" in consumer.get("/metrics")[1]
    assert "kiosk_queue_" not in consumer.get("/metrics")[1]
    consumer.process.terminate()
    assert consumer.process.wait(30) == 0


def test_what_ends_a_role_is_a_line_like_the_others(
    start: Callable[[str, str], Role], redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KIOSK_LISTEN__AUDIT_FILE", "/no/such/folder/audit.log")
    server = start("server", redis_url)
    assert server.process.wait(60) == 1
    (line,) = server.lines()
    assert (line["level"], line["role"]) == ("CRITICAL", "server")
    assert "KIOSK_LISTEN__AUDIT_FILE" in line["message"]
