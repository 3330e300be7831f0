"""Real Tritons of a test: one process each, with a folder of its own."""

from __future__ import annotations

from pathlib import Path

import tritonclient.grpc as triton_client

from kiosk import local
from kiosk.local import Addresses, shared_memory_prefix, triton_spec
from kiosk.machine import free_port, server_files
from kiosk.processes import Child, Supervisor
from kiosk.settings import Settings

SECRET = "words-between-friends"


def add_version(model: Path, version: str, config: str, weights: bytes) -> None:
    """Write a version of a model, and its configuration, into the model's folder."""
    (model / version).mkdir(parents=True)
    (model / "config.pbtxt").write_text(config)
    (model / version / "model.onnx").write_bytes(weights)


class Triton:
    """A Triton that serves the models in `folder / "models"`; it writes into `folder`."""

    def __init__(self, folder: Path) -> None:
        for name in ("home/triton", "logs"):
            (folder / name).mkdir(parents=True)
        settings = Settings(home=folder / "home", model_repository=folder / "models")
        port = free_port()
        addresses = Addresses(
            host="127.0.0.1",
            web_port=1,
            grpc_port=2,
            redis_port=3,
            triton_port=port,
            redis_password="",
            triton_secret=SECRET,
            has_tls=False,
        )
        spec = triton_spec(settings, addresses, server_files(settings.servers_dir))
        self.repository = settings.model_repository
        self.mark = shared_memory_prefix(settings.home)
        self.address = addresses.triton_address
        self.child = Child(spec, folder / "logs")
        self._supervisor = Supervisor([self.child], print)
        assert self._supervisor.start()

    def stop(self) -> None:
        self._supervisor.stop()

    def client(self) -> triton_client.InferenceServerClient:
        return local.triton(self.address, SECRET)

    def backend(self) -> int:
        """Process id of the backend that runs the model."""
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                command = (folder / "cmdline").read_text()
            except OSError:
                continue
            if parent == self.child.pid and "backend_stub" in command:
                return int(folder.name)
        raise AssertionError("there is no backend process")
