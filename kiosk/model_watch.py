"""New and changed model folders are loaded into a local Triton while the kiosk runs.

A cluster loads models by explicit order (see deploy/); on one machine whoever copies or trains
a model wants to see it appear.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import tritonclient.grpc as triton_client
from tritonclient.utils import InferenceServerException

from kiosk.backend_watch import Backends

LOOK_EVERY_S = 2.0
ANSWER_S = 10.0
LOAD_TIMEOUT_S = 120.0
"""A large network takes its time, on a GPU also to be optimised."""

Fingerprint = tuple[tuple[str, int, int], ...]
Load = Callable[[str], None]
Say = Callable[[str], None]


class ModelFolders:
    """The model folders of a repository as they were last seen."""

    def __init__(self, repository: Path, load: Load, unload: Load, say: Say) -> None:
        self._repository = repository
        self._load, self._unload, self._say = load, unload, say
        self._loaded = fingerprints(repository)
        self._seen = dict(self._loaded)

    def look(self) -> None:
        """Load what is new or has changed, unload what is gone.

        A folder must look the same twice in a row: one that is being copied is left alone.
        """
        before, self._seen = self._seen, fingerprints(self._repository)
        for name, fingerprint in self._seen.items():
            if fingerprint != self._loaded.get(name) and fingerprint == before.get(name):
                self._loaded[name] = fingerprint
                self._call(self._load, name, f"Model '{name}' is loaded.")
        for name in self._loaded.keys() - self._seen.keys() - before.keys():
            del self._loaded[name]
            self._call(self._unload, name, f"Model '{name}' is gone.")

    def _call(self, action: Load, name: str, done: str) -> None:
        try:
            action(name)
        except InferenceServerException as error:
            self._say(f"Model '{name}' is not served: {error.message()}")
        else:
            self._say(done)


def fingerprints(repository: Path) -> dict[str, Fingerprint]:
    """Name -> (path, size, time of change) of the files of every model that has versions."""
    found = {}
    for config in repository.glob("[!.]*/config.pbtxt"):
        files = [config, *config.parent.glob("[0-9]*/*")]
        try:
            entries = [(str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in sorted(files)]
        except OSError:  # it went away between the two calls: the next look will tell
            continue
        if len(entries) > 1:
            found[config.parent.name] = tuple(entries)
    return found


@contextmanager
def watching(
    repository: Path, client: triton_client.InferenceServerClient, mark: str, say: Say
) -> Iterator[None]:
    """Look at the model folders and the processes of models every few seconds, in a thread.

    Args:
        mark: first letters of the names of Triton's shared memory, see `Backends`.
    """

    def unload(name: str) -> None:
        client.unload_model(name, client_timeout=LOAD_TIMEOUT_S)

    def load(name: str) -> None:
        client.load_model(name, client_timeout=LOAD_TIMEOUT_S)

    def reload(name: str) -> None:
        unload(name)
        while client.is_model_ready(name, client_timeout=ANSWER_S):
            ended.wait(0.1)  # unloading goes on after its answer
        load(name)

    def is_ready(name: str, version: str) -> bool:
        return bool(client.is_model_ready(name, version, client_timeout=ANSWER_S))

    def instances(name: str) -> int:
        answer = client.get_model_config(name, client_timeout=ANSWER_S)
        return sum(group.count * max(1, len(group.gpus)) for group in answer.config.instance_group)

    folders = ModelFolders(repository, load, unload, say)
    backends = Backends(mark, is_ready, instances, reload, say)
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(LOOK_EVERY_S):
            folders.look()
            backends.look()

    thread = threading.Thread(target=watch, name="model-folders", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(LOOK_EVERY_S)
