"""The linking network: candidates tell each other what they believe, and decide."""

from __future__ import annotations

from typing import TypeAlias

import torch
from torch import nn
from torch.nn import functional as F

from kiosk.imaging.link_graph import (
    EDGE_COLUMNS,
    EDGE_FEATURES,
    NODE_FEATURES,
    PAIR_FEATURES,
)

WIDTH = 48
LOOK = 32
ROUNDS = 3
BELIEFS = 13
IMPOSSIBLE = -30.0
GAP, MOTION = EDGE_COLUMNS.index("gap"), EDGE_COLUMNS.index("motion")


class LinkNetwork(nn.Module):
    """A graph network on nodes (instances), edges (candidate links) and pairs (divisions).

    In every round an edge has odds of being the link that leads to its target; from them follow,
    for every node, how it probably came here, where it probably goes and what its neighbours
    probably do, and every edge sees how well it agrees with that. Vectors enter only by lengths,
    so it does not matter how the movie is turned. All sums run over tables of fixed width, which
    every engine has kernels for, and nothing is scattered.
    """

    def __init__(self, width: int = WIDTH, rounds: int = ROUNDS) -> None:
        super().__init__()
        self.look = nn.Sequential(
            nn.Conv2d(2, 24, 4, 4),
            nn.ReLU(),
            nn.Conv2d(24, 32, 3, 2, 1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32 * 16, LOOK),
        )
        self.node = _mlp(NODE_FEATURES + LOOK, width, width)
        self.same = nn.Linear(LOOK, 16)
        self.edge = _mlp(EDGE_FEATURES + 2 * width + 16, width, width)
        self.odds = nn.ModuleList(nn.Linear(width, 1) for _ in range(rounds + 1))
        self.gather = nn.ModuleList(_mlp(3 * width + 4, width, width) for _ in range(rounds))
        self.revise = nn.ModuleList(_mlp(3 * width + BELIEFS, width, width) for _ in range(rounds))
        self.pair = _mlp(3 * width + PAIR_FEATURES + 2 * BELIEFS, width, 1)

    def forward(
        self,
        node_features: torch.Tensor,
        patches: torch.Tensor,
        edge_features: torch.Tensor,
        displacement: torch.Tensor,
        source: torch.Tensor,
        target: torch.Tensor,
        incoming: torch.Tensor,
        outgoing: torch.Tensor,
        neighbours: torch.Tensor,
        pairs: torch.Tensor,
        pair_features: torch.Tensor,
    ) -> tuple[list[torch.Tensor], torch.Tensor]:
        """Shapes as `link_graph` has them; link log odds (e,) of every round, of divisions (p,)."""
        # Bytes are scaled by scaling the weights, which is less work.
        first = self.look[0]
        seen = F.conv2d(patches.float(), first.weight / 128.0, first.bias, stride=4)
        look = self.look[1:](seen)
        nodes = self.node(torch.cat([node_features, look], 1))
        same = self.same(look)
        alike = same[source] * same[target]
        edges = _meet(
            self.edge, [(edge_features, None), (nodes, source), (nodes, target), (alike, None)]
        )
        gap = edge_features[:, GAP : GAP + 1] + 1
        velocity = displacement / gap
        motion = edge_features[:, MOTION : MOTION + 1] + 0.1
        link = self.odds[0](edges)[:, 0]
        links = [link]
        for gather, revise, odds in zip(self.gather, self.revise, self.odds[1:], strict=True):
            came = Belief(link, incoming, velocity)
            goes = Belief(link, outgoing, velocity)
            masses = torch.cat([came.mass, goes.mass, came.certainty, goes.certainty], 1)
            told = torch.cat([nodes, came.mean(edges), goes.mean(edges), masses], 1)
            nodes = nodes + gather(told)
            believed = _agreement(link, velocity, motion, source, target, came, goes, neighbours)
            edges = edges + _meet(
                revise, [(edges, None), (nodes, source), (nodes, target), (believed, None)]
            )
            link = odds(edges)[:, 0]
            links.append(link)
        came, goes = Belief(link, incoming, velocity), Belief(link, outgoing, velocity)
        believed = _agreement(link, velocity, motion, source, target, came, goes, neighbours)
        one, two = pairs[:, 0], pairs[:, 1]
        division = _meet(
            self.pair,
            [
                (edges, (one, two)),
                ((edges[one] - edges[two]).abs(), None),
                (nodes, source[one]),
                (pair_features, None),
                (believed, (one, two)),
                (torch.minimum(believed[one], believed[two]), None),
            ],
        )
        return links, division[:, 0]


class Belief:
    """What the edges of each node probably mean together; nodes without edges believe nothing.

    mass (n, 1): probability that any of them is a link; certainty (n, 1): of the likeliest;
    velocity (n, 3): expected, given that one is.
    """

    def __init__(self, link: torch.Tensor, table: torch.Tensor, velocity: torch.Tensor) -> None:
        self.table = table
        padded = torch.cat([link, link.new_full((1,), IMPOSSIBLE)])
        odds = padded[table]
        none = torch.zeros_like(odds[:, :1])
        share = torch.softmax(torch.cat([odds, none], 1), 1)
        self.share = share[:, :-1]
        self.none = share[:, -1:]
        self.mass = 1 - self.none
        self.certainty = self.share.max(1, keepdim=True).values
        self.velocity = self.mean(velocity) / (self.mass + 0.02)

    def mean(self, values: torch.Tensor) -> torch.Tensor:
        """(n, c) sum over a node's edges, weighted with their probabilities."""
        padded = torch.cat([values, torch.zeros_like(values[:1])])
        return (self.share[:, :, None] * padded[self.table]).sum(1)


def _agreement(
    link: torch.Tensor,
    velocity: torch.Tensor,
    motion: torch.Tensor,
    source: torch.Tensor,
    target: torch.Tensor,
    came: Belief,
    goes: Belief,
    neighbours: torch.Tensor,
) -> torch.Tensor:
    """(e, BELIEFS): how each edge stands against its rivals, and how it fits other motion."""
    padded = torch.cat([goes.velocity * goes.mass, torch.zeros_like(goes.velocity[:1])])
    mass = torch.cat([goes.mass, torch.zeros_like(goes.mass[:1])])
    around = mass[neighbours].sum(1)
    flow = padded[neighbours].sum(1) / (around + 0.02)

    def off(expected: torch.Tensor) -> torch.Tensor:
        return ((velocity - expected).square().sum(1, keepdim=True) + 1e-6).sqrt()

    before, after, beside = (
        off(came.velocity[source]),
        off(goes.velocity[target]),
        off(flow[source]),
    )
    odds = link[:, None].clamp(-15, 15)
    # Its share among what leads to the target, and among what leaves the source.
    enters = odds.exp() * came.none[target]
    leaves = odds.exp() * goes.none[source]
    return torch.cat(
        [
            odds / 4,
            enters,
            leaves,
            came.mass[source],
            goes.mass[target],
            before.clamp(max=6),
            after.clamp(max=6),
            beside.clamp(max=6),
            (before / motion / 4).clamp(max=6),
            (after / motion / 4).clamp(max=6),
            (beside / motion / 4).clamp(max=6),
            around[source] / 6,
            goes.certainty[source],
        ],
        1,
    )


Place: TypeAlias = torch.Tensor | tuple[torch.Tensor, torch.Tensor] | None


def _meet(mlp: nn.Sequential, parts: list[tuple[torch.Tensor, Place]]) -> torch.Tensor:
    """A perceptron on parts side by side, each taken at its places (of two places the sum).

    Its first layer is applied to every part before the part is taken at places, which is the same
    and much less work, because there are fewer nodes than edges.
    """
    first, begin = mlp[0], 0
    total = first.bias
    for values, place in parts:
        end = begin + values.shape[1]
        weighted = F.linear(values, first.weight[:, begin:end])
        if isinstance(place, tuple):
            weighted = weighted[place[0]] + weighted[place[1]]
        elif place is not None:
            weighted = weighted[place]
        total, begin = total + weighted, end
    return mlp[1:](total)


def _mlp(inputs: int, width: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, outputs))
