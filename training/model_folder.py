"""A model folder of the repository: its configuration read, and a new one written from it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from kiosk.errors import InvalidRequest
from kiosk.model_check import parse_config, read_config
from kiosk.models import ModelCard, card_from_config

WEIGHTS = "model.onnx"


@dataclass(frozen=True)
class ModelFolder:
    """A folder with `config.pbtxt` and numbered versions."""

    path: Path
    config: model_config_pb2.ModelConfig
    card: ModelCard

    def weights(self, version: str = "") -> Path:
        """The weights of a version, by default of the latest. Raises InvalidRequest."""
        number = version or self.card.default_version
        file = self.path / number / WEIGHTS
        if not file.is_file():
            raise InvalidRequest(
                f"The model '{self.card.name}' has no version {number}; it has"
                f" {', '.join(self.card.versions)}."
            )
        return file


def read_model_folder(path: Path) -> ModelFolder:
    """Raises InvalidRequest or PermanentError when there is no readable model."""
    versions = version_numbers(path)
    if not versions:
        raise InvalidRequest(
            f"'{path}' is no model folder: it needs a config.pbtxt and a version, such as"
            f" 1/{WEIGHTS}."
        )
    file = path / "config.pbtxt"
    return ModelFolder(path, parse_config(file), card_from_config(read_config(file), versions))


def version_numbers(path: Path) -> list[str]:
    """Names of the version folders, ascending."""
    if not path.is_dir():
        return []
    found = [p.name for p in path.iterdir() if p.name.isdigit() and (p / WEIGHTS).is_file()]
    return sorted(found, key=int)


def write_version(
    out: Path,
    base: ModelFolder,
    weights: Path,
    parameters: Mapping[str, str],
    extra_files: Mapping[str, Path],
    readme: str,
) -> None:
    """Put a version where Triton finds it, complete or not at all.

    Args:
        out: `<repository>/<model>/<version>`, which must not exist.
        base: the model whose configuration is the pattern.
        weights: the ONNX file to copy.
        parameters: `kiosk.*` keys that differ from the base; an empty value removes the key.
        extra_files: name -> file, copied beside config.pbtxt.
        readme: the model card.
    """
    model = out.parent
    config = model_config_pb2.ModelConfig()
    config.CopyFrom(read_model_folder(model).config if version_numbers(model) else base.config)
    config.name = model.name
    if not version_numbers(model):
        for key in [k for k in config.parameters if k.startswith("kiosk.weights_sha256.")]:
            del config.parameters[key]
    for key, value in parameters.items():
        if value:
            config.parameters[key].string_value = value
        elif key in config.parameters:
            del config.parameters[key]
    model.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=model.parent, prefix=f".{model.name}-") as folder:
        staged = Path(folder) / model.name
        (staged / out.name).mkdir(parents=True)
        shutil.copyfile(weights, staged / out.name / WEIGHTS)
        (staged / "config.pbtxt").write_text(_header(base) + text_format.MessageToString(config))
        (staged / "README.md").write_text(readme)
        for name, file in extra_files.items():
            shutil.copyfile(file, staged / name)
        if not model.exists():
            staged.rename(model)
            return
        # The version first: Triton looks at a model again when its configuration changes.
        (staged / out.name).rename(out)
        for file in staged.iterdir():
            file.replace(model / file.name)


def _header(base: ModelFolder) -> str:
    return (
        f"# Made by `kiosk train` from the model '{base.card.name}'. The keys are explained in\n"
        "# docs/reference/model-configuration.md.\n"
    )
