"""Which channels of an image go to the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from kiosk.errors import InvalidRequest
from kiosk.models import ModelCard


class HasChannels(Protocol):
    """What is asked of an image here; the attributes are those of `ports.ImageSource`."""

    @property
    def channel_names(self) -> Sequence[str]: ...
    @property
    def is_rgb(self) -> bool: ...


def choose_channels(source: HasChannels, card: ModelCard, wanted: str) -> list[int]:
    """Indices of the channels to read: one, or all three of a colour image.

    Args:
        source: the opened image.
        card: the model; whether it takes colour images.
        wanted: name or index (from 0) of a channel as the caller gave it; "" = not given.

    Raises:
        InvalidRequest: there is no such channel, or the caller has to choose one.
    """
    names = list(source.channel_names)
    if wanted:
        return [_find(names, wanted)]
    if len(names) == 1:
        return [0]
    if source.is_rgb and card.accepts_rgb:
        return list(range(len(names)))
    raise InvalidRequest(
        f"The image has {len(names)} channels ({_listed(names)}) and the model '{card.name}' takes"
        " one. Choose a channel by its name or its number, counted from 0.",
        reason="CHANNEL_NEEDED",
        field="channel",
    )


def shown_channels(source: HasChannels, wanted: str) -> list[int]:
    """Indices of the channels that show the instances, where no model has a say.

    Args:
        wanted: as in `choose_channels`; "" = the colours of a colour image, else the first.

    Raises:
        InvalidRequest: there is no such channel.
    """
    names = list(source.channel_names)
    if wanted:
        return [_find(names, wanted)]
    return list(range(len(names))) if source.is_rgb else [0]


def _find(names: Sequence[str], wanted: str) -> int:
    lowered = [name.lower() for name in names]
    if wanted.lower() in lowered:
        return lowered.index(wanted.lower())
    numbers = [str(number) for number in range(len(names))]
    if wanted in numbers:
        return numbers.index(wanted)
    has = "one channel" if len(names) == 1 else f"{len(names)} channels"
    raise InvalidRequest(
        f"There is no channel '{wanted}'. The image has {has} ({_listed(names)}); give a name or a"
        " number, counted from 0.",
        reason="CHANNEL_NOT_FOUND",
        field="channel",
    )


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f"{i}: {name}" for i, name in enumerate(names[:8]))
    return shown + (", ..." if len(names) > 8 else "")
