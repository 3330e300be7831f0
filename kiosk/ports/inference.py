"""The models of Triton, and each of its replicas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from kiosk.models import ModelCard


class InferenceClient(Protocol):
    """The models of a Triton server."""

    async def models(self) -> list[ModelCard]:
        """Cards of all models that are ready. Raises TransientError when Triton is not."""

    async def absent(self) -> set[str]:
        """Names of models that Triton has, but that are not loaded at present or being changed."""

    async def check(self) -> None:
        """Raises Outage while no model can be asked."""

    async def infer(
        self, model: str, version: str, inputs: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Run one request; batch axis first. Raises TransientError or PermanentError."""


class ModelReplica(Protocol):
    """One Triton, as administrators steer it. All methods raise KioskErrors as InferenceClient."""

    @property
    def address(self) -> str:
        """Host and port."""

    async def states(self) -> dict[str, dict[str, str]]:
        """Model -> version -> "" where it is ready, else why it is not."""

    async def card(self, model: str) -> ModelCard:
        """Of a model that is ready. Raises PermanentError when it is none for the kiosk."""

    async def load(self, model: str) -> None:
        """Load what the folder of a model holds; versions that are ready go on answering.

        Raises:
            NotFound: this Triton has no such folder.
            PermanentError: a version cannot be loaded.
            WrongState: the model's configuration would have its ready versions unloaded.
        """

    async def keep(self, model: str, versions: Sequence[str]) -> None:
        """Of a model that is loaded keep these versions only, until it is loaded anew."""

    async def unload(self, model: str) -> None:
        """Unload all versions; returns when they are gone."""

    async def infer(
        self, model: str, version: str, inputs: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """As `InferenceClient.infer`, on this Triton."""
