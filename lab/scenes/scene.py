"""The content of a drawn scene, which determines the correct answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

GRID = 4
SHAPES = ("circle", "square", "triangle", "star", "cross", "diamond", "ring")
COLOURS = ("red", "green", "blue", "yellow", "purple", "orange", "white", "black")
TEXTURES = ("plain", "striped", "dotted")
SIGNS = ("stop", "warning", "left", "right")
FAULTS = ("none", "blur", "noise", "dark", "jpeg", "occlusion")
WORDS = tuple(
    """
    ant bag bat bed box bus cab can cap car cat cow cup dam day den dog dye ear egg elf fan fig fox fur gas
    gum hat hen hub ice ink jam jar jet key kit lab leg lid log map mud net nut oak oil owl pan peg pie pin
    pot ram rib rod rug sea sky sun tap tea tin toy tub van vet wax web wig yak zip zoo
    """.split()  # noqa: SIM905 # a word list reads better as words
)


@dataclass(frozen=True)
class Thing:
    """One shape in the grid cell at `row` and `column`, counted from the top left."""

    row: int
    column: int
    shape: str
    colour: str
    large: bool
    texture: str

    @property
    def name(self) -> str:
        """Colour and shape, such as "red circle"."""
        return f"{self.colour} {self.shape}"


@dataclass(frozen=True)
class Plate:
    """A printed word or number of two cells; `row` and `column` are those of the left one."""

    row: int
    column: int
    text: str


@dataclass(frozen=True)
class Gauge:
    """A dial with a needle at `value` (0 to 9), of two by two cells; the top left cell is given."""

    row: int
    column: int
    value: int


@dataclass(frozen=True)
class Sign:
    """A road sign in one cell."""

    row: int
    column: int
    kind: str


@dataclass(frozen=True)
class Scene:
    """The content of a scene.

    Attributes:
        fault: The camera's fault, one of FAULTS.
        severity: Severity of the fault, in [0, 1].
        seed: Seed of the rendering's random details, such as the background.
    """

    things: tuple[Thing, ...]
    plate: Plate | None
    gauge: Gauge | None
    sign: Sign | None
    fault: str
    severity: float
    seed: int


def draw(rng: np.random.Generator, *, fault: str | None = None) -> Scene:
    """Returns a random scene.

    Args:
        fault: One of FAULTS; if None it is random, and "none" in half of the scenes.
    """
    free = np.ones((GRID, GRID), bool)
    gauge = plate = sign = None
    if rng.random() < 0.45:
        row, column = _place(rng, free, 2, 2)
        gauge = Gauge(row, column, int(rng.integers(10)))
    if rng.random() < 0.5:
        row, column = _place(rng, free, 1, 2)
        number = rng.random() < 0.5
        plate = Plate(row, column, str(rng.integers(10, 100) if number else rng.choice(WORDS)))
    if rng.random() < 0.4:
        row, column = _place(rng, free, 1, 1)
        sign = Sign(row, column, str(rng.choice(SIGNS)))
    cells = np.argwhere(free)
    n = min(int(rng.integers(3, 9)), len(cells))
    shapes = rng.choice(SHAPES, size=int(rng.integers(2, 6)), replace=False)
    colours = rng.choice(COLOURS, size=int(rng.integers(2, 6)), replace=False)
    things = tuple(
        Thing(
            int(r),
            int(c),
            str(rng.choice(shapes)),
            str(rng.choice(colours)),
            bool(rng.random() < 0.5),
            str(rng.choice(TEXTURES)),
        )
        for r, c in rng.permutation(cells)[:n]
    )
    if fault is None:
        fault = "none" if rng.random() < 0.5 else str(rng.choice(FAULTS[1:]))
    return Scene(things, plate, gauge, sign, fault, float(rng.uniform(0.3, 1.0)), int(rng.integers(2**31)))


def _place(rng: np.random.Generator, free: np.ndarray, height: int, width: int) -> tuple[int, int]:
    """Reserves free cells for an object, and returns the row and column of the top left one."""
    corners = [
        (r, c)
        for r in range(GRID - height + 1)
        for c in range(GRID - width + 1)
        if free[r : r + height, c : c + width].all()
    ]
    r, c = corners[int(rng.integers(len(corners)))]
    free[r : r + height, c : c + width] = False
    return r, c
