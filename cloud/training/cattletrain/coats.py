"""Coats of cattle: colours and markings fixed to the body of an animal."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

GRAIN = 14  # cells along each side of the noise that shapes patches

# Display colours, BGR, as drones see them in plain light.
COLOURS = {
    "black": (38, 36, 38),
    "brown": (52, 68, 98),
    "red": (52, 70, 122),
    "fawn": (98, 138, 178),
    "cream": (164, 192, 212),
    "white": (212, 220, 224),
    "grey": (138, 142, 146),
    "pale grey": (184, 192, 196),
    "dark brown": (36, 46, 64),
}
# Breeds by look: main colours, colours of patches, the share of patches (low, high), kind of marking.
BREEDS = {
    "holstein": (("black",), ("white",), (0.2, 0.75), "patches"),
    "red holstein": (("red", "brown"), ("white", "cream"), (0.2, 0.7), "patches"),
    "angus": (("black", "dark brown"), (), (0, 0), "plain"),
    "red angus": (("red", "brown"), (), (0, 0), "plain"),
    "hereford": (("red", "brown"), ("white",), (0, 0), "face"),
    "charolais": (("cream", "white"), (), (0, 0), "plain"),
    "brahman": (("pale grey", "white", "grey"), ("grey",), (0, 0), "hump"),
    "jersey": (("fawn", "brown"), ("dark brown",), (0, 0), "points"),
    "galloway": (("black", "brown"), ("white",), (0, 0), "belt"),
    "black face": (("black",), ("white",), (0, 0), "face"),
    "speckled": (("brown", "black", "red"), ("white",), (0.35, 0.6), "specks"),
    "mixed brown": (("brown", "dark brown", "fawn", "red"), (), (0, 0), "plain"),
}


@dataclass
class Coat:
    """The colours of one animal.

    colour gives BGR float32 [n, 3], 0..255, for places on the body, [n, 3]: x from 0 at the
    tail to 1 at the nose, y from -0.5 to 0.5 across, z from 0 at the hooves to 1 at the highest point.
    """

    main: np.ndarray
    second: np.ndarray
    marking: str
    level: float
    noise: np.ndarray
    stretch: np.ndarray
    belt: tuple[float, float]
    dirt: float
    streak: float

    @staticmethod
    def draw(breed: str, rng: np.random.Generator) -> Coat:
        """A random coat of a breed."""
        mains, seconds, (low, high), marking = BREEDS[breed]
        main = _vary(COLOURS[mains[rng.integers(len(mains))]], rng)
        second = _vary(COLOURS[seconds[rng.integers(len(seconds))]], rng) if seconds else main
        cells = GRAIN * (2 if marking == "specks" else 1)
        noise = rng.normal(size=(cells, cells)).astype(np.float32)
        noise = cv2.GaussianBlur(np.pad(noise, 8, "wrap"), (0, 0), 1.0 if marking == "specks" else 1.6)[8:-8, 8:-8]
        noise = np.argsort(np.argsort(noise.ravel())).reshape(noise.shape).astype(np.float32) / noise.size
        middle = rng.uniform(0.42, 0.55)
        return Coat(
            main, second, marking, rng.uniform(low, high), noise, rng.uniform(0.75, 1.4, 2) * [1.0, 0.55],
            (middle - rng.uniform(0.06, 0.12), middle + rng.uniform(0.06, 0.12)),
            max(0.0, rng.normal(0, 0.16)), rng.normal(0, 0.14),
        )  # fmt: skip

    def colour(self, own: np.ndarray) -> np.ndarray:
        """Colours, BGR float32 [n, 3], of places on the body, see the class."""
        along, across, up = own[:, 0], own[:, 1], own[:, 2]
        amount = self._amount(along, across, up)[:, None]
        out = self.main * (1 - amount) + self.second * amount
        ridge = np.exp(-((across / 0.09) ** 2)) * (along < 0.72)
        out = out * (1 + self.streak * ridge)[:, None]
        if self.dirt > 0:
            flank = np.clip(np.abs(across) * 2.4 - 0.35, 0, 1) * np.clip(1.1 - along, 0, 1)
            cloud = self._noise(along * 1.7 + 0.3, across + 0.7 * up)
            muddy = (self.dirt * 2 * flank * (cloud > 0.35))[:, None].clip(0, 0.8)
            out = out * (1 - muddy) + np.array([62, 78, 92], np.float32) * muddy
        return out.astype(np.float32)

    def _noise(self, along: np.ndarray, around: np.ndarray) -> np.ndarray:
        side = self.noise.shape[0]
        x = (along * self.stretch[0] * side % side).astype(np.float32).reshape(-1, 1)
        y = ((around * self.stretch[1] + 0.5) * side % side).astype(np.float32).reshape(-1, 1)
        return _sample(self.noise, x, y)[:, 0]

    def _amount(self, along: np.ndarray, across: np.ndarray, up: np.ndarray) -> np.ndarray:
        """The share of the second colour, 0..1."""
        if self.marking == "patches":
            return _step(self.level - self._noise(along, across + np.sign(across) * 0.3 * (1 - up)), 0.03)
        if self.marking == "specks":
            return 0.8 * _step(self.level - self._noise(along, across), 0.12)
        if self.marking == "face":
            return _step(along - 0.83, 0.03) * _step(up - 0.2, 0.1)
        if self.marking == "belt":
            return _step(along - self.belt[0], 0.01) * _step(self.belt[1] - along, 0.01)
        if self.marking == "hump":
            return 0.6 * _step(up - 0.78, 0.1) * _step(along - 0.5, 0.05)
        if self.marking == "points":
            return 0.8 * np.maximum(_step(along - 0.88, 0.05), _step(0.3 - up, 0.1))
        return np.zeros_like(along)


def _sample(noise: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Bilinear samples of a noise that repeats; remap takes 32,766 rows at once."""
    out = np.empty_like(x)
    for start in range(0, len(x), 32000):
        part = slice(start, start + 32000)
        out[part] = cv2.remap(noise, x[part], y[part], cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    return out


def _step(x: np.ndarray, soft: float) -> np.ndarray:
    return np.clip(x / soft * 0.5 + 0.5, 0, 1)


def _vary(colour: tuple[int, int, int], rng: np.random.Generator) -> np.ndarray:
    base = np.array(colour, np.float32)
    base = base * np.exp(rng.normal(0, 0.1)) + rng.normal(0, 3, 3)
    return np.clip(base * np.exp(rng.normal(0, 0.03, 3)), 8, 242).astype(np.float32)


def herd(rng: np.random.Generator) -> list[str]:
    """The breeds of one herd, by frequency: mostly one."""
    names = sorted(BREEDS)
    first = names[rng.integers(len(names))]
    if rng.random() < 0.5:
        return [first]
    return [first] * 4 + [names[rng.integers(len(names))] for _ in range(int(rng.integers(1, 4)))]
