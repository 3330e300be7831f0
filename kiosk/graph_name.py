"""A name of its own for every network that Triton gets.

ONNX Runtime keeps the engines that TensorRT builds in files that it names by the graph's name, the
names of its tensors and the versions of the software, not by the weights (`TRTGenerateId` in
its TensorRT execution provider). All networks of one training script have the same names, so one
version of a model, or another model, would get the engine of the other and answer with its weights.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

NAME_CHARACTERS = 32
# Fields of onnx.proto, each with wire type 2 (a length follows): ModelProto.graph, GraphProto.name.
_GRAPH, _NAME = 7 << 3 | 2, 2 << 3 | 2
RENAMING_BYTES = NAME_CHARACTERS + 4


def renaming(name: str) -> bytes:
    """What makes `name` (32 ASCII characters) the graph's name, appended to an ONNX file.

    In the encoding of protocol buffers a message that comes again is merged into the one before,
    and of a text that comes again the last one counts.
    """
    text = name.encode("ascii")
    if len(text) != NAME_CHARACTERS:
        raise ValueError(f"a name has {NAME_CHARACTERS} characters")
    graph = bytes([_NAME, len(text)]) + text
    return bytes([_GRAPH, len(graph)]) + graph


def is_network(path: Path) -> bool:
    return path.suffix == ".onnx"


def name_networks(folder: Path) -> None:
    """Call the networks in a version's folder by all of its contents, files of weights included."""
    digest = hashlib.sha256()
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in files:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    for path in filter(is_network, files):
        with path.open("ab") as file:
            file.write(renaming(digest.hexdigest()[:NAME_CHARACTERS]))
