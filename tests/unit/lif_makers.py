"""Leica LIF files made by hand, for tests: a header in XML, then blocks of pixels."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np

_DIMENSIONS = {"X": 1, "Y": 2, "Z": 3, "T": 4}
STEPS = {"X": 0.25e-6, "Y": 0.5e-6, "Z": 2e-6, "T": 30.0}


def lif(images: Sequence[tuple[str, np.ndarray]], axes: str = "TCZYX") -> bytes:
    """(name, pixels) of images with these axes, C being stored as channels."""
    elements = [_element(i, name, data, axes) for i, (name, data) in enumerate(images)]
    xml = (
        '<LMSDataContainerHeader Version="2"><Element Name="made.lif"><Children>'
        f"{''.join(elements)}</Children></Element></LMSDataContainerHeader>"
    )
    text = xml.encode("utf-16-le")
    parts = [struct.pack("<IIBI", 0x70, len(text) + 5, 0x2A, len(xml)), text]
    for i, (_, data) in enumerate(images):
        name = f"MemBlock_{i}".encode("utf-16-le")
        size = struct.pack("<BQBI", 0x2A, data.nbytes, 0x2A, len(name) // 2)
        parts += [struct.pack("<II", 0x70, len(size) + len(name)), size, name, data.tobytes()]
    return b"".join(parts)


def _element(number: int, name: str, data: np.ndarray, axes: str) -> str:
    step = dict(zip(axes, data.strides, strict=True))
    length = dict(zip(axes, data.shape, strict=True))
    channels = "".join(
        f'<ChannelDescription DataType="0" ChannelTag="0" Resolution="{data.itemsize * 8}"'
        f' NameOfMeasuredQuantity="" Min="0" Max="1" Unit="" LUTName="Dye {c}"'
        f' IsLUTInverted="0" BytesInc="{c * step.get("C", 0)}" BitInc="0"/>'
        for c in range(length.get("C", 1))
    )
    dimensions = "".join(
        f'<DimensionDescription DimID="{_DIMENSIONS[a]}" NumberOfElements="{length[a]}"'
        f' Origin="0" Length="{STEPS[a] * (length[a] - 1)}" Unit="{"s" if a == "T" else "m"}"'
        f' BytesInc="{step[a]}" BitInc="0"/>'
        for a in reversed(axes)
        if a != "C"
    )
    return (
        f'<Element Name="{name}"><Data><Image><ImageDescription><Channels>{channels}</Channels>'
        f"<Dimensions>{dimensions}</Dimensions></ImageDescription></Image></Data>"
        f'<Memory Size="{data.nbytes}" MemoryBlockID="MemBlock_{number}"/></Element>'
    )
