"""Made-up cells: how they move, grow, divide, enter and leave."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from training.linking.cutouts import Cutout, blob


@dataclass(frozen=True)
class Habits:
    """How the cells of one movie live; lengths in typical diameters, times in frames.

    Attributes:
        speed: per frame; persistence: share of the velocity that is kept.
        flow: speed of the sheet as a whole, which differs from place to place.
        spin: standard deviation of the turn, radians.
        wobble: how much shapes change from frame to frame.
        division_every: frames between two divisions of a cell, on average.
        mitosis: frames for which a dividing cell is round; mitotic_brightness: against others.
        mitotic_size, daughter_size: linear, against the mother's.
        separation: of the daughters when they first appear.
        growth: frames in which daughters grow up.
        death_every, arrival_every: frames between two, in the whole movie.
    """

    speed: float
    persistence: float
    flow: float
    spin: float
    wobble: float
    division_every: float
    mitosis: int
    mitotic_brightness: float
    mitotic_size: float
    daughter_size: float
    separation: float
    growth: float
    death_every: float
    arrival_every: float

    @classmethod
    def drawn(cls, random: np.random.Generator) -> Habits:
        def log(low: float, high: float) -> float:
            return float(np.exp(random.uniform(np.log(low), np.log(high))))

        return cls(
            speed=log(0.02, 0.35),
            persistence=random.uniform(0, 0.9),
            flow=random.choice([0, 0, log(0.02, 0.2)]),
            spin=log(0.01, 0.3),
            wobble=log(0.01, 0.12),
            division_every=log(40, 200),
            mitosis=int(random.integers(0, 6)),
            mitotic_brightness=random.uniform(1, 2.5),
            mitotic_size=random.uniform(0.5, 0.95),
            daughter_size=random.uniform(0.45, 0.8),
            separation=random.uniform(0.45, 1.4),
            growth=log(3, 30),
            death_every=log(15, 300),
            arrival_every=log(10, 200),
        )


@dataclass
class Cell:
    """One cell; lengths in typical diameters but for the cut-out."""

    track: int
    parent: int
    cutout: Cutout
    position: np.ndarray
    velocity: np.ndarray
    angle: float
    size: float
    brightness: float
    full_size: float
    look: Cutout
    stretch: np.ndarray = field(default_factory=lambda: np.ones(2))
    until_mitosis: float = np.inf
    mitosis_left: int = -1
    dying: int = -1
    young: int = 0


class Colony:
    """All cells of a movie, frame by frame, in a square of `side` typical diameters."""

    def __init__(
        self, cutouts: list[Cutout], side: float, count: int, random: np.random.Generator
    ) -> None:
        self.random, self.habits = random, Habits.drawn(random)
        self.side, self.margin = side, 1.5
        # One image holds cells of one kind: some cut-outs only, close in size.
        self.cutouts = [cutouts[i] for i in random.integers(0, len(cutouts), 12)]
        self.tracks = 0
        self.size_spread = random.uniform(0.05, 0.3)
        self.cells: list[Cell] = []
        for _ in range(round(count * ((side + 2 * self.margin) / side) ** 2)):
            self.cells.append(self._new(self._anywhere()))
        for _ in range(30):
            self._push_apart(0.3)
        self.wave = random.normal(0, 1, (2, 2)) / max(side, 4) * 3
        self.wave_phase = random.uniform(0, 6, 2)

    def step(self) -> None:
        """Advance by one frame."""
        habits, random = self.habits, self.random
        for cell in self.cells:
            self._move(cell)
        self._push_apart(0.25)
        cells = []
        for cell in self.cells:
            cells += self._live(cell)
        if random.random() < 1 / habits.death_every and cells:
            victim = cells[random.integers(len(cells))]
            if victim.mitosis_left < 0:
                victim.dying = int(random.integers(1, 5))
                victim.look = blob(random, random.uniform(1, 2))
        if random.random() < 1 / habits.arrival_every:
            cells.append(self._new(self._anywhere()))
        self.cells = cells

    def forget(self, cell: Cell) -> None:
        """A cell that left the frame is another one when it comes back, as in real truth."""
        self.tracks += 1
        cell.track, cell.parent = self.tracks, 0

    def _anywhere(self) -> np.ndarray:
        return self.random.uniform(-self.margin, self.side + self.margin, 2)

    def _new(self, position: np.ndarray) -> Cell:
        random = self.random
        self.tracks += 1
        cutout = self.cutouts[random.integers(len(self.cutouts))]
        size = float(np.exp(random.normal(0, self.size_spread)))
        return Cell(
            track=self.tracks,
            parent=0,
            cutout=cutout,
            look=cutout,
            position=position,
            velocity=random.normal(0, self.habits.speed, 2),
            angle=random.uniform(0, 2 * np.pi),
            size=size,
            full_size=size,
            brightness=float(np.exp(random.normal(0, 0.25))),
            until_mitosis=random.exponential(self.habits.division_every),
        )

    def _move(self, cell: Cell) -> None:
        habits, random = self.habits, self.random
        keep = habits.persistence
        fresh = random.normal(0, habits.speed, 2)
        cell.velocity = keep * cell.velocity + np.sqrt(1 - keep**2) * fresh
        slow = 0.3 if cell.mitosis_left >= 0 or cell.dying >= 0 else 1.0
        flow = habits.flow * np.sin(self.wave @ cell.position + self.wave_phase)
        cell.position = cell.position + slow * cell.velocity + flow
        low, high = -self.margin, self.side + self.margin
        for axis in (0, 1):
            if not low < cell.position[axis] < high:
                cell.velocity[axis] *= -1
                cell.position[axis] = np.clip(cell.position[axis], low, high)
        cell.angle += random.normal(0, habits.spin)
        change = random.normal(0, habits.wobble, 2)
        cell.stretch = np.clip(1 + 0.85 * (cell.stretch - 1) + change, 0.6, 1.6)

    def _push_apart(self, strength: float) -> None:
        if len(self.cells) < 2:
            return
        places = np.array([cell.position for cell in self.cells])
        radii = np.array([cell.size for cell in self.cells]) / 2
        apart = places[:, None] - places[None]
        distance = np.linalg.norm(apart, axis=2) + np.eye(len(places)) * 1e6
        overlap = np.maximum(0, 1.05 * (radii[:, None] + radii[None]) - distance)
        push = (apart / (distance[..., None] + 1e-6) * overlap[..., None]).sum(1) * strength
        for cell, by in zip(self.cells, push):
            cell.position = cell.position + by

    def _live(self, cell: Cell) -> list[Cell]:
        """The cell a frame later: itself, its daughters, or nothing."""
        habits, random = self.habits, self.random
        if cell.dying >= 0:
            cell.dying -= 1
            cell.size *= 0.8
            return [cell] if cell.dying >= 0 else []
        if cell.young:
            cell.young -= 1
            if not cell.young:
                cell.look = cell.cutout
        cell.size += (cell.full_size - cell.size) / max(1.0, habits.growth) * 2
        cell.until_mitosis -= 1
        if cell.mitosis_left > 0:
            cell.mitosis_left -= 1
            if cell.mitosis_left == 1:
                # The plate: long across the axis along which the daughters will part.
                cell.stretch = np.array([random.uniform(0.6, 1.0), random.uniform(1.0, 1.4)])
            return [cell]
        if cell.mitosis_left == 0 or (cell.until_mitosis < 0 and habits.mitosis == 0):
            return self._divided(cell)
        if cell.until_mitosis < 0:
            cell.mitosis_left = max(1, habits.mitosis + int(random.integers(-1, 2)))
            cell.look = blob(random, habits.mitotic_brightness)
            cell.size *= habits.mitotic_size
        return [cell]

    def _divided(self, mother: Cell) -> list[Cell]:
        habits, random = self.habits, self.random
        angle = mother.angle
        axis = np.array([np.sin(angle), np.cos(angle)])
        uneven = random.normal(0, 0.06)
        daughters = []
        for sign in (-1, 1):
            self.tracks += 1
            seen = habits.mitosis > 0 and random.random() < 0.9
            size = mother.full_size * habits.daughter_size * (1 + sign * uneven)
            offset = sign * axis * habits.separation * mother.full_size / 2
            cutout = mother.cutout
            if random.random() < 0.5:
                cutout = self.cutouts[random.integers(len(self.cutouts))]
            bright = 1 + (habits.mitotic_brightness - 1) * random.uniform(0.5, 1)
            daughters.append(
                replace(
                    mother,
                    track=self.tracks,
                    parent=mother.track,
                    cutout=cutout,
                    look=blob(random, bright) if seen else cutout,
                    position=mother.position + offset + random.normal(0, 0.04, 2),
                    velocity=sign * axis * (habits.speed + 0.05) * random.uniform(0, 3),
                    size=size,
                    full_size=float(np.exp(random.normal(0, self.size_spread))),
                    stretch=np.array([random.uniform(0.7, 1.0), random.uniform(1.0, 1.3)]),
                    until_mitosis=random.exponential(habits.division_every) + 10,
                    mitosis_left=-1,
                    young=int(random.integers(1, 4)) if seen else 0,
                )
            )
        return daughters
