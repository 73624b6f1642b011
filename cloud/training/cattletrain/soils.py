"""Ground seen from above, without animals: textures, photographs and noise, mixed, with marks on it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from . import coco
from .animals3d import read_texture
from .faults import DataError
from .raster import Camera

LARGEST = 2200  # pixels, the longer side of the ground before the camera looks at it
LEAST_SIDE = 256  # pixels of a texture
# Textures that are no ground with animals on it.
WITHOUT = (
    "snow", "ice", "icy", "lava", "water", "ocean", "sea_", "coral", "cliff", "grid", "wave", "volcan", "polar",
    "black", "white", "mask", "norm",
)  # fmt: skip


def site(path: Path) -> str:
    """The name of the place of a picture: its file name without the number at the end, or that of its folder."""
    return path.stem.rstrip("0123456789").rstrip("_-") or path.parent.name


def photographs(folder: Path, part: float) -> list[Path]:
    """The first part (0..1) of each site's pictures in a folder, by name; the rest stays unseen. Raises DataError for none."""
    sites: dict[str, list[Path]] = {}
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png")):
        sites.setdefault(site(path), []).append(path)
    chosen = [path for name in sorted(sites) for path in sites[name][: int(np.ceil(part * len(sites[name])))]]
    if not chosen:
        raise DataError(folder, ["has no pictures"])
    return chosen


def textures(root: Path) -> list[Path]:
    """The game's terrain that can be under cattle, by name."""
    found = sorted((root / "textures" / "terrain" / "types").rglob("*.dds")) if (root / "textures").is_dir() else []
    kept = [p for p in found if not any(word in p.name.lower() for word in WITHOUT)]
    return [p for p in kept if p.stat().st_size > LEAST_SIDE * LEAST_SIDE // 2]


def noise(rng: np.random.Generator, high: int, wide: int, cell: float, octaves: int = 1, fall: float = 0.5) -> np.ndarray:
    """Smooth noise, float32 [high, wide], mean 0 and deviation 1; cell is its largest grain in pixels."""
    out = np.zeros((high, wide), np.float32)
    for n in range(octaves):
        size = max(cell / 2**n, 1.0)
        small = rng.standard_normal((int(high / size) + 3, int(wide / size) + 3), np.float32)
        big = cv2.resize(small, (int(small.shape[1] * size) + 1, int(small.shape[0] * size) + 1), interpolation=cv2.INTER_CUBIC if n < 2 else cv2.INTER_LINEAR)
        y, x = rng.integers(0, max(1, big.shape[0] - high)), rng.integers(0, max(1, big.shape[1] - wide))
        out += big[y : y + high, x : x + wide] * np.float32(fall**n)
    return (out - out.mean()) / max(float(out.std()), 1e-6)


class Soils:
    """Draws ground. Pictures are read when needed; the last ones are kept."""

    def __init__(self, photos: Sequence[Path], tiles: Sequence[Path]):
        self.photos, self.tiles = list(photos), list(tiles)
        self.sites: dict[str, list[Path]] = {}
        for path in self.photos:
            self.sites.setdefault(site(path), []).append(path)
        self._kept: dict[Path, np.ndarray] = {}

    def draw(self, rng: np.random.Generator, camera: Camera, side: int, scale: float) -> np.ndarray:
        """Ground as the camera sees it: float32 [side, side, 3] BGR, 0..255; scale is pixels per metre in the middle."""
        corners = np.array([[0, 0], [side, 0], [side, side], [0, side]], float)
        ground = camera.ground(corners)
        low, high = ground.min(0), ground.max(0)
        size = high - low
        fine = min(scale * (1.0 if camera.tilt < 0.2 else 1.15), LARGEST / float(size.max()))
        wide, tall = int(np.ceil(size[0] * fine)) + 2, int(np.ceil(size[1] * fine)) + 2
        flat = self._flat(rng, tall, wide, fine)
        source = np.stack([(ground[:, 0] - low[0]) * fine, (high[1] - ground[:, 1]) * fine], 1).astype(np.float32)
        turn = cv2.getPerspectiveTransform(source, corners.astype(np.float32))
        return cv2.warpPerspective(flat, turn, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)

    def _flat(self, rng: np.random.Generator, high: int, wide: int, fine: float) -> np.ndarray:
        kind = rng.random()
        if kind < 0.3 and self.sites:
            out = self._photo(rng, high, wide)
        elif kind < 0.82 and self.tiles:
            out = self._tiles(rng, high, wide, fine)
        elif kind < 0.91:
            out = _soil(rng, high, wide, fine)
        elif kind < 0.96:
            out = _concrete(rng, high, wide, fine)
        else:
            out = _asphalt(rng, high, wide, fine)
        if rng.random() < 0.06:
            _water(out, rng, fine)
        _roughen(out, rng, fine)
        mark(out, rng, fine)
        return np.clip(out * _light(rng, high, wide)[..., None], 0, 255)

    def _read(self, path: Path) -> np.ndarray:
        if path not in self._kept:
            if len(self._kept) > 24:
                self._kept.pop(next(iter(self._kept)))
            pixels = read_texture(path)[0] if path.suffix == ".dds" else coco.read_image(path)
            self._kept[path] = np.clip(pixels, 0, 255).astype(np.uint8)
        return self._kept[path]

    def _photo(self, rng: np.random.Generator, high: int, wide: int) -> np.ndarray:
        names = sorted(self.sites)
        group = self.sites[names[rng.integers(len(names))]]
        for _ in range(4):  # masks and maps without colour are among the textures of some packages
            pixels = self._read(group[rng.integers(len(group))])
            if float(np.ptp(pixels[::16, ::16].astype(np.int16), axis=2).mean()) > 4:
                break
        rows, columns = pixels.shape[:2]
        factor = max(rng.uniform(0.6, 1.3), 1.02 * high / rows, 1.02 * wide / columns) if rows > 1100 else max(1.02 * high / rows, 1.02 * wide / columns)
        tall, broad = int(high / factor), int(wide / factor)
        y, x = rng.integers(0, rows - tall + 1), rng.integers(0, columns - broad + 1)
        part = pixels[y : y + tall, x : x + broad]
        part = np.rot90(part, rng.integers(4)) if tall == broad else part[:, :: int(rng.choice([-1, 1]))]
        out = cv2.resize(part, (wide, high), interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC).astype(np.float32)
        return _tone(out, rng, rng.uniform(70, 150), rng.uniform(0.6, 1.3))

    def _tiles(self, rng: np.random.Generator, high: int, wide: int, fine: float) -> np.ndarray:
        out = self._tile(rng, high, wide, fine)
        for _ in range(int(rng.integers(0, 3))):
            other = self._tile(rng, high, wide, fine)
            grey = cv2.cvtColor(out, cv2.COLOR_BGR2GRAY)
            field = noise(rng, high, wide, rng.uniform(1.5, 14) * fine, 5, 0.6) + 0.03 * (grey - grey.mean())
            share = np.clip((field - rng.uniform(-0.6, 1.4)) / rng.uniform(0.15, 1.6) + 0.5, 0, 1)[..., None]
            out = out * (1 - share) + other * share
        return out

    def _tile(self, rng: np.random.Generator, high: int, wide: int, fine: float) -> np.ndarray:
        pixels = self._read(self.tiles[rng.integers(len(self.tiles))])
        across = rng.uniform(3.5, 12) * pixels.shape[1] / 512  # metres
        factor = float(np.clip(across * fine / pixels.shape[1], 0.3, 1.8))
        if factor < 1:
            pixels = cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
            factor = 1.0
        # The textures repeat without seams; the part that is needed is laid out first.
        reach = int(np.hypot(high, wide) / factor) + 4
        pixels = np.roll(pixels, tuple(rng.integers(0, 4096, 2)), (0, 1))
        pixels = np.tile(pixels, (reach // pixels.shape[0] + 1, reach // pixels.shape[1] + 1, 1))[:reach, :reach]
        turn = cv2.getRotationMatrix2D((reach / 2, reach / 2), rng.uniform(0, 360), factor)
        turn[:, 2] += np.array([wide, high]) / 2 - reach / 2
        out = cv2.warpAffine(pixels, turn, (wide, high), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
        return _tone(out.astype(np.float32), rng, rng.uniform(55, 175), rng.uniform(0.35, 1.0))


def _roughen(out: np.ndarray, rng: np.random.Generator, fine: float) -> None:
    """Texture of all sizes down to a pixel where the source was too coarse for it."""
    grey = cv2.cvtColor(out, cv2.COLOR_BGR2GRAY)
    detail = float((grey - cv2.GaussianBlur(grey, (0, 0), 2)).std())
    lacking = max(0.0, rng.uniform(2, 7) - detail)
    if lacking > 0:
        high, wide = grey.shape
        rough = noise(rng, high, wide, max(8.0, 0.3 * fine), 4, 0.85) * lacking
        out += rough[..., None] * float(np.clip(grey.mean() / 110, 0.4, 1.3))


def _tone(out: np.ndarray, rng: np.random.Generator, mean: float, colour: float) -> np.ndarray:
    """Another exposure and strength of colours; the middle of the picture stays below white."""
    grey = cv2.cvtColor(out, cv2.COLOR_BGR2GRAY)[..., None]
    out = out * np.float32(colour) + grey * np.float32(1 - colour)
    gain = float(np.clip(mean / max(float(grey.mean()), 1), 0.5, 2.2))
    return np.clip(out * (gain * np.exp(rng.normal(0, 0.04, 3))).astype(np.float32), 0, 250)


def _soil(rng: np.random.Generator, high: int, wide: int, fine: float) -> np.ndarray:
    """Bare soil: pale dust to black peat, with lumps lit from one side."""
    colours = ((150, 178, 200), (110, 138, 165), (70, 92, 120), (50, 62, 76), (30, 36, 42), (72, 94, 150), (170, 182, 188))
    base = np.array(colours[rng.integers(len(colours))], np.float32)
    relief = noise(rng, high, wide, rng.uniform(0.15, 0.8) * fine, 4, 0.7)
    way = rng.uniform(0, 2 * np.pi)
    slope = cv2.filter2D(relief, -1, np.array([[0, -np.sin(way), 0], [-np.cos(way), 0, np.cos(way)], [0, np.sin(way), 0]], np.float32))
    slope /= max(float(slope.std()), 1e-6)
    broad = noise(rng, high, wide, rng.uniform(2, 10) * fine, 4, 0.6)
    fine_grain = rng.standard_normal((high, wide), np.float32)
    bright = np.float32(1) + rng.uniform(0.03, 0.14) * slope + rng.uniform(0.02, 0.12) * broad + rng.uniform(0.01, 0.06) * fine_grain
    out = base * bright[..., None]
    if rng.random() < 0.5:  # something grows
        share = np.clip((noise(rng, high, wide, rng.uniform(0.5, 5) * fine, 5, 0.7) - rng.uniform(0.5, 1.6)) / 0.3, 0, 1)[..., None]
        leaf = np.array((58, 104, 88), np.float32) * (1 + 0.16 * slope + 0.1 * fine_grain)[..., None]
        out = out * (1 - share) + leaf * share
    return np.clip(out, 0, 250).astype(np.float32)


def _concrete(rng: np.random.Generator, high: int, wide: int, fine: float) -> np.ndarray:
    """Slabs with joints, stains of dung and water."""
    base = np.array((150, 154, 156), np.float32) * np.float32(np.exp(rng.normal(-0.1, 0.25)))
    out = np.ones((high, wide, 3), np.float32) * base
    out *= (1 + 0.05 * noise(rng, high, wide, 1.5 * fine, 5, 0.75) + 0.03 * rng.standard_normal((high, wide), np.float32))[..., None]
    step, ys, xs = rng.uniform(2, 6) * fine, np.arange(high), np.arange(wide)
    joint = np.maximum((np.abs(ys % step - step / 2) < 0.03 * fine)[:, None], (np.abs(xs % (step * 1.3) - step / 2) < 0.03 * fine)[None])
    out *= (1 - 0.35 * joint)[..., None]
    dirt = np.clip((noise(rng, high, wide, rng.uniform(1, 5) * fine, 5, 0.7) - rng.uniform(0.2, 1.2)) / 0.6, 0, 1)[..., None] * rng.uniform(0.3, 0.9)
    return np.clip(out * (1 - dirt) + np.array((38, 50, 58), np.float32) * dirt, 0, 250).astype(np.float32)


def _asphalt(rng: np.random.Generator, high: int, wide: int, fine: float) -> np.ndarray:
    """A road or a parking place: grey with patches, cracks and white lines."""
    base = np.array((96, 94, 92), np.float32) * np.float32(np.exp(rng.normal(-0.1, 0.3)))
    rough = np.float32(1) + 0.05 * noise(rng, high, wide, 3 * fine, 5, 0.7) + 0.06 * rng.standard_normal((high, wide), np.float32)
    lines = np.zeros((high, wide), np.float32)
    step, way = rng.uniform(2.4, 3.6) * fine, rng.uniform(0, np.pi)
    along, across = np.array([np.cos(way), np.sin(way)]), np.array([-np.sin(way), np.cos(way)])
    reach = float(np.hypot(high, wide))
    for n in range(int(rng.integers(1, 9))):
        middle = np.array([wide, high]) * rng.uniform(0.3, 0.7) + across * step * (n - 3)
        length = reach if rng.random() < 0.3 else 5 * fine
        ends = [tuple(int(v) for v in np.round(middle + sign * along * length / 2)) for sign in (-1, 1)]
        cv2.line(lines, *ends, 1.0, max(1, int(0.12 * fine)))
    worn = lines * np.clip(0.6 + 0.3 * noise(rng, high, wide, 0.6 * fine, 3), 0, 1)
    out = base * rough[..., None]
    return np.clip(out * (1 - worn[..., None]) + 205 * worn[..., None], 0, 250).astype(np.float32)


def _water(out: np.ndarray, rng: np.random.Generator, fine: float) -> None:
    """A shore through the picture: water with a wet rim and sometimes foam."""
    high, wide = out.shape[:2]
    way = rng.uniform(0, 2 * np.pi)
    ys, xs = np.mgrid[0:high, 0:wide].astype(np.float32)
    far = ((xs - wide * rng.uniform(0.2, 0.8)) * np.cos(way) + (ys - high * rng.uniform(0.2, 0.8)) * np.sin(way)) / np.float32(fine)
    far = far + rng.uniform(0.2, 1.5) * noise(rng, high, wide, 6 * fine, 5, 0.55)
    wet = np.clip(far + 1.2, 0, 1)[..., None] * np.float32(0.35)
    colour = np.array([(96, 84, 52), (70, 78, 60), (120, 110, 80), (44, 46, 40)][rng.integers(4)], np.float32)
    share = np.clip(far * 2, 0, 0.92)[..., None]
    out *= 1 - wet
    waves = np.float32(1) + 0.07 * noise(rng, high, wide, 0.8 * fine, 3, 0.7)
    out[:] = out * (1 - share) + colour * waves[..., None] * share
    if rng.random() < 0.5:
        foam = np.exp(-((far / 0.25) ** 2)) * np.clip(0.5 + 0.6 * noise(rng, high, wide, 0.5 * fine, 4, 0.7), 0, 1)
        out[:] = out * (1 - foam[..., None]) + 225 * foam[..., None]


def _light(rng: np.random.Generator, high: int, wide: int) -> np.ndarray:
    """Broad changes of brightness, and sometimes the shadows of clouds."""
    out = 1 + rng.uniform(0, 0.1) * noise(rng, high, wide, 0.6 * max(high, wide))
    if rng.random() < 0.12:
        cloud = noise(rng, high, wide, rng.uniform(0.15, 0.5) * max(high, wide), 4, 0.5)
        out = out * (1 - rng.uniform(0.3, 0.55) * np.clip((cloud - rng.uniform(-0.3, 1)) / rng.uniform(0.2, 0.8), 0, 1))
    return np.clip(out, 0.3, 1.4).astype(np.float32)


def mark(out: np.ndarray, rng: np.random.Generator, fine: float) -> None:
    """Draws flat marks that are no animals: tracks, dung, footprints, puddles, burnt and wet spots, seaweed."""
    for kind, chance in (("tracks", 0.25), ("dung", 0.3), ("prints", 0.25), ("puddles", 0.18), ("spots", 0.25), ("weed", 0.12)):
        if rng.random() < chance:
            _MARKS[kind](out, rng, fine)


def _blot(
    out: np.ndarray, rng: np.random.Generator, x: float, y: float, size: tuple[float, float], colour: np.ndarray, strength: float, rough: float = 0.3
) -> None:
    """A spot with an uneven rim; size is its half axes in pixels."""
    reach = int(max(size) * 1.5) + 2
    x0, y0, x1, y1 = int(x) - reach, int(y) - reach, int(x) + reach, int(y) + reach
    left, top, right, bottom = max(x0, 0), max(y0, 0), min(x1, out.shape[1]), min(y1, out.shape[0])
    if right - left < 2 or bottom - top < 2:
        return
    ys, xs = np.mgrid[top:bottom, left:right]
    turn = rng.uniform(0, np.pi)
    dx, dy = xs - x, ys - y
    across, along = (dx * np.cos(turn) + dy * np.sin(turn)) / size[0], (-dx * np.sin(turn) + dy * np.cos(turn)) / size[1]
    way, far = np.arctan2(along, across), np.hypot(across, along)
    rim = 1 + rough * sum(np.sin(way * n + rng.uniform(0, 6)) / n for n in (2, 3, 5))
    share = (np.clip((rim - far) * max(max(size) / rng.uniform(1.5, 6), 1), 0, 1) * strength)[..., None].astype(np.float32)
    below = out[top:bottom, left:right]
    # The ground's texture goes on within the spot.
    rough_colour = colour * (0.35 + 0.65 * below.mean(2, keepdims=True) / max(float(below.mean()), 1))
    out[top:bottom, left:right] = below * (1 - share) + rough_colour * share


def _places(out: np.ndarray, rng: np.random.Generator, low: int, high: int) -> np.ndarray:
    return rng.uniform(0, 1, (int(rng.integers(low, high)), 2)) * [out.shape[1], out.shape[0]]


def _dung(out: np.ndarray, rng: np.random.Generator, fine: float) -> None:
    for x, y in _places(out, rng, 5, 120):
        size = rng.uniform(0.08, 0.25) * fine
        _blot(out, rng, x, y, (size, size * rng.uniform(0.6, 1)), np.array((26, 36, 42), np.float32) * rng.uniform(0.7, 1.6), 0.85)


def _prints(out: np.ndarray, rng: np.random.Generator, fine: float) -> None:
    for x, y in _places(out, rng, 1, 6):
        way = rng.uniform(0, 2 * np.pi)
        for n in range(int(rng.integers(8, 60))):
            way += rng.normal(0, 0.06)
            x, y = x + 0.6 * fine * np.cos(way), y + 0.6 * fine * np.sin(way)
            side = 0.12 * fine * (-1) ** n
            at = x - side * np.sin(way), y + side * np.cos(way)
            _blot(out, rng, *at, (0.14 * fine, 0.07 * fine), np.array((40, 48, 56), np.float32), 0.35)
            _blot(out, rng, at[0] + 0.05 * fine, at[1] + 0.05 * fine, (0.12 * fine, 0.05 * fine), np.array((200, 210, 220), np.float32), 0.15)


def _puddles(out: np.ndarray, rng: np.random.Generator, fine: float) -> None:
    colour = np.array([(150, 140, 124), (60, 62, 60), (90, 110, 120), (210, 200, 190)][rng.integers(4)], np.float32)
    for x, y in _places(out, rng, 1, 8):
        size = rng.uniform(0.3, 2.5) * fine
        _blot(out, rng, x, y, (size, size * rng.uniform(0.3, 0.9)), colour, rng.uniform(0.5, 0.95), 0.4)


def _spots(out: np.ndarray, rng: np.random.Generator, fine: float) -> None:
    for x, y in _places(out, rng, 2, 40):
        size = rng.uniform(0.2, 1.3) * fine
        colour = out.mean((0, 1)) * rng.uniform(0.25, 1.6)
        _blot(out, rng, x, y, (size, size * rng.uniform(0.25, 1)), np.clip(colour, 0, 240).astype(np.float32), rng.uniform(0.3, 0.9), 0.45)


def _weed(out: np.ndarray, rng: np.random.Generator, fine: float) -> None:
    x, y = rng.uniform(0, out.shape[1]), rng.uniform(0, out.shape[0])
    way = rng.uniform(0, 2 * np.pi)
    for _ in range(int(rng.integers(30, 160))):
        way += rng.normal(0, 0.12)
        x, y = x + 0.3 * fine * np.cos(way), y + 0.3 * fine * np.sin(way)
        at = np.array([x, y]) + rng.normal(0, 0.3 * fine, 2)
        _blot(out, rng, *at, (rng.uniform(0.1, 0.5) * fine, rng.uniform(0.04, 0.2) * fine), np.array((34, 44, 52), np.float32), rng.uniform(0.4, 0.9), 0.45)


def _tracks(out: np.ndarray, rng: np.random.Generator, fine: float) -> None:
    way = rng.uniform(0, 2 * np.pi)
    at = rng.uniform(0.1, 0.9, 2) * [out.shape[1], out.shape[0]]
    reach = float(np.hypot(*out.shape[:2]))
    steps = np.linspace(-reach, reach, 60)
    bow = rng.normal(0, 0.15) / reach
    line = np.stack([at[0] + steps * np.cos(way) - bow * steps**2 * np.sin(way), at[1] + steps * np.sin(way) + bow * steps**2 * np.cos(way)], 1)
    normal = np.array([-np.sin(way), np.cos(way)])
    mask = np.zeros(out.shape[:2], np.float32)
    path = rng.random() < 0.4
    for side in (0.0,) if path else (-0.9, 0.9):
        points = np.round(line + normal * side * fine).astype(np.int32)
        cv2.polylines(mask, [points], False, 1.0, max(1, int((rng.uniform(0.4, 3) if path else 0.35) * fine)))
    mask = cv2.GaussianBlur(mask, (0, 0), max(0.6, 0.06 * fine)) * np.clip(0.7 + 0.4 * noise(rng, *mask.shape, 0.5 * fine, 3), 0, 1)
    colour = np.array([(120, 150, 172), (66, 86, 104), (160, 176, 186)][rng.integers(3)], np.float32)
    share = (mask * rng.uniform(0.3, 0.85))[..., None]
    out[:] = out * (1 - share) + colour * (out.mean(2, keepdims=True) / max(float(out.mean()), 1)) * share


_MARKS = {"tracks": _tracks, "dung": _dung, "prints": _prints, "puddles": _puddles, "spots": _spots, "weed": _weed}
