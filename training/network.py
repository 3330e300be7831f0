"""The segmentation network: a U-Net that works at half resolution and answers at full."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F

CHANNELS = (32, 64, 128, 192, 256)
DIVISOR_PX = 2 ** len(CHANNELS)  # height and width of a tile must be multiples of this
SPACE_TO_DEPTH = 2
MAPS = 2  # foreground, distance


class ConvBlock(nn.Sequential):
    """Two 3x3 convolutions, each followed by batch normalisation (unless folded) and ReLU."""

    def __init__(self, inputs: int, outputs: int, folded: bool) -> None:
        layers: list[nn.Module] = []
        for width in (inputs, outputs):
            layers.append(nn.Conv2d(width, outputs, 3, padding=1, bias=folded))
            if not folded:
                layers.append(nn.BatchNorm2d(outputs))
            layers.append(nn.ReLU(inplace=True))
        super().__init__(*layers)


class MapNetwork(nn.Module):
    """RGB planes in, logits of the foreground map and the distance map out.

    Pixels are first rearranged into 2x2 groups (space to depth), so all convolutions run at
    half resolution without throwing detail away; the head undoes it (pixel shuffle).

    Input (n, 3, y, x) float32, about 0..1; output (n, 2, y, x); y and x multiples of DIVISOR_PX.

    Args:
        channels: width of each level, finest first.
        folded: convolutions with a bias instead of batch normalisation, as in the served file;
            this is the form that is fine-tuned.
    """

    def __init__(self, channels: tuple[int, ...] = CHANNELS, folded: bool = False) -> None:
        super().__init__()
        self.channels = channels
        widths = (3 * SPACE_TO_DEPTH**2, *channels)
        self.down = nn.ModuleList(ConvBlock(a, b, folded) for a, b in pairwise(widths))
        pairs = list(zip(channels[::-1], channels[-2::-1]))
        self.up = nn.ModuleList(ConvBlock(deep + skip, skip, folded) for deep, skip in pairs)
        self.head = nn.Conv2d(channels[0], MAPS * SPACE_TO_DEPTH**2, 3, padding=1)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        x = F.pixel_unshuffle(pixels, SPACE_TO_DEPTH)
        skips = []
        for level, block in enumerate(self.down):
            x = block(x if level == 0 else F.max_pool2d(x, 2))
            skips.append(x)
        for block, skip in zip(self.up, skips[-2::-1]):
            x = block(torch.cat([F.interpolate(x, scale_factor=2.0), skip], dim=1))
        return F.pixel_shuffle(self.head(x), SPACE_TO_DEPTH)

    def convolutions(self) -> list[nn.Conv2d]:
        """All convolutions in the order in which they run."""
        return [module for module in self.modules() if isinstance(module, nn.Conv2d)]
