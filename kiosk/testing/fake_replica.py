"""`ports.ModelReplica` without Triton."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from kiosk.errors import MODEL_SERVER_AWAY, NotFound, Outage, PermanentError
from kiosk.models import ModelCard
from kiosk.testing.fake_inference import make_card


class FakeReplica:
    """A Triton whose model folders and ready versions are sets in memory.

    Attributes:
        folders: model -> versions in its folder.
        ready: model -> versions that are loaded.
        broken: (model, version) that cannot be loaded.
        is_down: whether it does not answer.
        calls: what was asked, as "load nuclei" and the like.
    """

    def __init__(self, address: str = "127.0.0.1:8001", **folders: Sequence[str]) -> None:
        self.address = address
        self.folders = {name: set(versions) for name, versions in folders.items()}
        self.ready = {name: set(versions) for name, versions in folders.items()}
        self.broken: set[tuple[str, str]] = set()
        self.calls: list[str] = []
        self.is_down = False

    async def states(self) -> dict[str, dict[str, str]]:
        if self.is_down:
            raise Outage("The model server (Triton) does not answer.", reason=MODEL_SERVER_AWAY)
        return {
            name: {
                version: "" if version in self.ready.get(name, ()) else "unloaded"
                for version in sorted(versions, key=int)
            }
            for name, versions in self.folders.items()
        }

    async def card(self, model: str) -> ModelCard:
        return make_card(model, versions=tuple(sorted(self.ready[model], key=int)))

    async def load(self, model: str) -> None:
        self.calls.append(f"load {model}")
        if model not in self.folders:
            raise NotFound(f"Triton at {self.address} has no model folder '{model}'.")
        broken = {version for name, version in self.broken if name == model}
        self.ready[model] = self.folders[model] - broken
        if broken & self.folders[model]:
            raise PermanentError(f"Triton at {self.address} cannot load '{model}': it is broken.")

    async def keep(self, model: str, versions: Sequence[str]) -> None:
        self.calls.append(f"keep {model} {' '.join(versions)}")
        self.ready[model] = set(versions)

    async def unload(self, model: str) -> None:
        self.calls.append(f"unload {model}")
        self.ready[model] = set()

    async def infer(
        self, model: str, version: str, inputs: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        self.calls.append(f"tile {model}:{version} {inputs['image'].shape}")
        if version not in self.ready[model]:
            raise PermanentError("The model is not loaded.")
        return {}
