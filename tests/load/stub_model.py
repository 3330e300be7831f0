"""A model that takes no time, so that a load run measures the kiosk and not a network."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from kiosk.testing import FakeInference


class StubInference(FakeInference):
    """`ports.InferenceClient` whose model calls bright pixels foreground: some microseconds."""

    async def infer(
        self, model: str, version: str, inputs: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        self.calls.clear()  # the fake remembers them for tests; here they come by the thousand
        return await super().infer(model, version, inputs)

    async def close(self) -> None:
        pass
