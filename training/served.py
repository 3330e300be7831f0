"""Weights out of a served ONNX file: what fine-tuning and a next version begin with.

The exporter folds batch normalisation into the convolutions, so the file holds one weight and
one bias per convolution, in the order in which they run. No other checkpoint is kept.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn

from training.network import MapNetwork

Weights = list[tuple[np.ndarray, np.ndarray]]


def read_weights(path: Path) -> Weights:
    """(weight (out, in, y, x), bias (out,)) float32 of every convolution of a served network."""
    graph = onnx.load(path).graph
    tensors = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    # Weights kept as float16 pass through a cast on their way to the convolution.
    casts = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "Cast"}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    return [
        tuple(tensors[casts.get(name, name)].astype(np.float32) for name in node.input[1:3])
        for node in convolutions
    ]


def folded_network(path: Path) -> MapNetwork:
    """The served network itself, ready to be trained further."""
    weights = read_weights(path)
    levels = len(weights) // 4 + 1
    network = MapNetwork(tuple(len(bias) for _, bias in weights[0 : 2 * levels : 2]), folded=True)
    with torch.no_grad():
        for convolution, (weight, bias) in zip(network.convolutions(), weights, strict=True):
            convolution.weight.copy_(torch.from_numpy(weight))
            convolution.bias.copy_(torch.from_numpy(bias))
    return network


def begin_with_served(network: MapNetwork, path: Path, pixels: torch.Tensor) -> None:
    """Give a network the function of a served one that is as wide or narrower.

    Channels that the served network lacks begin with random inputs and without effect on the
    answer (Chen et al., "Net2Net", ICLR 2016). Batch normalisation begins with the statistics of
    `pixels` (n, 3, y, x) and a scale that undoes them.
    """
    weights = read_weights(path)
    convolutions = network.convolutions()
    narrow = folded_network(path).channels
    inputs = _input_positions(narrow, network.channels)
    with torch.no_grad():
        for convolution, (weight, bias), used in zip(convolutions, weights, inputs, strict=True):
            old_out = weight.shape[0]
            convolution.weight[:old_out] = 0.0
            convolution.weight[:old_out, used] = torch.from_numpy(weight)
            if convolution.bias is not None:
                convolution.bias[:old_out] = torch.from_numpy(bias)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    hooks = [
        norm.register_forward_pre_hook(_calibration(torch.from_numpy(bias)))
        for norm, (_, bias) in zip(norms, weights)
    ]
    network.eval()
    with torch.no_grad():
        network(pixels)
    for hook in hooks:
        hook.remove()
    network.train()


def _input_positions(old: tuple[int, ...], new: tuple[int, ...]) -> list[list[int]]:
    """For each convolution, which of its inputs the narrower network has."""
    positions = [list(range(12)), list(range(old[0]))]
    for above, level in pairwise(old):
        positions += [list(range(above)), list(range(level))]
    for deep in range(len(old) - 1, 0, -1):
        # The upper half of a level sees the level below first, then its own skip.
        below = list(range(old[deep]))
        skip = [new[deep] + i for i in range(old[deep - 1])]
        positions += [below + skip, list(range(old[deep - 1]))]
    return [*positions, list(range(old[0]))]


def _calibration(bias: torch.Tensor):
    def set_statistics(norm: nn.BatchNorm2d, arguments: tuple[torch.Tensor]) -> None:
        variance, mean = torch.var_mean(arguments[0].float(), dim=(0, 2, 3))
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        old = len(bias)
        norm.weight[:old] = torch.sqrt(variance[:old] + norm.eps)
        norm.bias[:old] = mean[:old] + bias

    return set_statistics
