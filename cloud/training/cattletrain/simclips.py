"""Frames of simulated clips as a COCO folder for training: the herds, lights and grounds of `herdsim clip`."""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np

from . import coco

CLIP = "simulated"
SIZE = (1280, 720)
FRAMES = (0, 2)  # of a second at three frames per second
VISIBLE = 0.4  # least visible share of an animal for a label; one that is hidden more becomes an ignore region
LEAST_SIDE = 3.0  # pixels; a smaller rest at the edge of the picture has no box
HERDS = ("loose", "standing", "grazing", "oneway", "crossing", "follow", "lane", "tight", "tight", "tight")
GROUNDS = ("grass", "drygrass", "soil", "road", "concrete", "feedlot", "stubble")
LIGHTS = ("day", "soft", "noon", "evening")
COATS = ("mixed", "mixed", "black", "white", "brown", "grey", "pied")
CAMERAS = ("pass", "steady", "hover", "gust", "turn")


def arguments(rng: np.random.Generator) -> list[str]:
    """Options of herdsim clip for a random clip of a second."""
    scale = float(np.exp(rng.uniform(np.log(14), np.log(110))))
    tilt = 0 if rng.random() < 0.7 else rng.integers(5, 46)
    named = {
        "herd": rng.choice(HERDS), "ground": rng.choice(GROUNDS), "light": rng.choice(LIGHTS), "coat": rng.choice(COATS),
        "camera": rng.choice(CAMERAS), "scale": f"{scale:.1f}", "tilt": tilt, "animals": rng.choice([20, 40, 60, 90]),
        "clutter": f"{rng.uniform(0, 2.5):.1f}", "young": f"{rng.uniform(0, 0.4):.2f}", "blur": f"{rng.uniform(0, 1.2):.2f}",
        "seconds": 1, "fps": 3, "size": f"{SIZE[0]}x{SIZE[1]}", "seed": rng.integers(1, 2**31),
    }  # fmt: skip
    return [f"--{name}={value}" for name, value in named.items()]


def boxes(frame: dict) -> tuple[np.ndarray, np.ndarray]:
    """Boxes and ignore regions, float32 [n, 4], of a frame of the truth."""
    animals = frame["animals"]
    limit = np.array([*SIZE, *SIZE], np.float32)
    found = np.clip(np.array([a["box"] for a in animals], np.float32).reshape(-1, 4), 0, limit)
    whole = ((found[:, 2:] - found[:, :2]) >= LEAST_SIDE).all(axis=1)
    seen = np.array([a["visible"] >= VISIBLE for a in animals], bool)
    return found[whole & seen], found[whole & ~seen]


def pictures(clip: Path, truth: dict, target: Path, name: str) -> list[coco.Image]:
    """Writes the chosen frames of a clip below target/images. Raises OSError for a clip that cannot be read."""
    video, images = cv2.VideoCapture(str(clip)), []
    for number in range(max(FRAMES) + 1):
        good, pixels = video.read()
        if not good:
            raise OSError(f"clip {clip}: frame {number} cannot be read")
        if number in FRAMES:
            path = target / "images" / f"{name}-{number}.jpg"
            if not cv2.imwrite(str(path), pixels, [cv2.IMWRITE_JPEG_QUALITY, 90]):
                raise OSError(f"picture {path} cannot be written")
            cattle, hidden = boxes(truth["per_frame"][number])
            images.append(coco.Image(path, *SIZE, cattle, CLIP, hidden))
    return images


def simulate(herdsim: Path, target: Path, clips: int, seed: int) -> list[coco.Image]:
    """Renders clips and writes their frames as a COCO folder. Raises OSError when herdsim fails."""
    (target / "images").mkdir(parents=True, exist_ok=True)
    images: list[coco.Image] = []
    with tempfile.TemporaryDirectory() as scratch:
        clip = Path(scratch) / "clip.mp4"
        for number in range(clips):
            options = arguments(np.random.default_rng([seed, number]))
            run = subprocess.run([herdsim, "clip", f"--out={clip}", *options], capture_output=True, text=True)
            if run.returncode:
                raise OSError(f"herdsim clip {' '.join(options)}: {run.stderr.strip()}")
            images += pictures(clip, json.loads(clip.with_suffix(".json").read_text()), target, f"{number:05d}")
            clip.unlink()
    coco.save(target, images, "frames of simulated clips")
    return images


def main(argv: list[str]) -> int:
    p = argparse.ArgumentParser(prog="cattletrain.simclips", description=__doc__)
    p.add_argument("target", type=Path, help="COCO folder to write")
    p.add_argument("--herdsim", type=Path, default=Path("herdsim"), help="the herdsim program")
    p.add_argument("--clips", type=int, default=150, help="how many clips, two pictures each (default 150)")
    p.add_argument("--seed", type=int, default=1)
    a = p.parse_args(argv)
    try:
        images = simulate(a.herdsim, a.target, a.clips, a.seed)
    except (coco.DataError, OSError) as e:
        print(f"simclips: {e}", file=sys.stderr)
        return 1
    print(f"{a.target}: {len(images)} pictures, {sum(len(i.boxes) for i in images)} animals")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
