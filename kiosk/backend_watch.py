"""The processes in which a local Triton runs its models: one that dies is replaced.

Triton's Python-based backends run every instance of a model in a process of its own. When that dies
(killed for its memory, say), Triton 2.51 goes on to call the model ready and answers every request
with an error, for ever. Unloading and loading the model cures it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tritonclient.utils import InferenceServerException

# .../<model>/<version>/<weights file>: the first argument of a backend process.
_WEIGHTS = re.compile(r"/([^/]+)/(\d+)/[^/]+$")

Backend = tuple[int, str, str]
"""Id of its Triton, model, version."""


class Backends:
    """The backend processes of one Triton as they were last seen.

    Args:
        mark: first letters of the shared memory of this Triton, which stand in their command lines.
        is_ready: whether Triton serves a version of a model.
        instances: how many processes Triton has for each version of a model.
        reload: unloads a model and loads it again.
    """

    def __init__(
        self,
        mark: str,
        is_ready: Callable[[str, str], bool],
        instances: Callable[[str], int],
        reload: Callable[[str], None],
        say: Callable[[str], None],
        processes: Path = Path("/proc"),
    ) -> None:
        self._mark, self._processes = mark, processes
        self._is_ready, self._instances = is_ready, instances
        self._reload, self._say = reload, say
        self._seen: Counter[Backend] = Counter()

    def look(self) -> None:
        """Have models loaded again that have lost a process."""
        before, self._seen = self._seen, self._running()
        for backend, count in before.items():
            triton, model, version = backend
            if self._seen[backend] >= count or not (self._processes / str(triton)).exists():
                continue
            try:
                # Else it was unloaded by order, or has made room for one with a new configuration.
                if self._is_ready(model, version) and self._seen[backend] < self._instances(model):
                    self._say(f"A process of model '{model}' has died; the model is loaded again.")
                    self._reload(model)
            except InferenceServerException as error:
                self._seen[backend] = count  # the next look tries again
                self._say(f"Model '{model}' is not loaded again yet: {error.message()}")

    def _running(self) -> Counter[Backend]:
        found: Counter[Backend] = Counter()
        for process in self._processes.glob("[0-9]*"):
            try:
                words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
                if len(words) < 3 or not words[2].startswith(self._mark):
                    continue
                parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, ValueError, IndexError):  # it has just ended
                continue
            weights = _WEIGHTS.search(words[1])
            if weights:
                found[parent, weights[1], weights[2]] += 1
        return found
