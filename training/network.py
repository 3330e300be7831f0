"""The segmentation network: a U-Net that works at half resolution and answers at full."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F

CHANNELS = (32, 48, 72, 112, 160)
DIVISOR_PX = 2 ** len(CHANNELS)  # height and width of a tile must be multiples of this


class ConvBlock(nn.Sequential):
    """Two 3x3 convolutions, each followed by batch normalisation and ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )


class MapNetwork(nn.Module):
    """RGB planes in, logits of the foreground map and the distance map out.

    Pixels are first rearranged into 2x2 groups (space to depth), so all convolutions run at
    half resolution without throwing detail away; the head undoes it (pixel shuffle).

    Input (n, 3, y, x) float32, about 0..1; output (n, 2, y, x); y and x multiples of DIVISOR_PX.
    """

    def __init__(self, channels: tuple[int, ...] = CHANNELS) -> None:
        super().__init__()
        widths = (12, *channels)
        self.down = nn.ModuleList(ConvBlock(a, b) for a, b in pairwise(widths))
        pairs = list(zip(channels[::-1], channels[-2::-1]))
        self.up = nn.ModuleList(ConvBlock(deep + skip, skip) for deep, skip in pairs)
        self.head = nn.Conv2d(channels[0], 2 * 4, 3, padding=1)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        x = F.pixel_unshuffle(pixels, 2)
        skips = []
        for level, block in enumerate(self.down):
            x = block(x if level == 0 else F.max_pool2d(x, 2))
            skips.append(x)
        for block, skip in zip(self.up, skips[-2::-1]):
            x = block(torch.cat([F.interpolate(x, scale_factor=2.0), skip], dim=1))
        return F.pixel_shuffle(self.head(x), 2)
