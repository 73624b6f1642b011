"""Endless batches of random views of COCO folders."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset

from . import coco
from .augment import Recipe, view

KEPT_BYTES = 2 << 30  # bytes of decoded pictures in memory


@dataclass(frozen=True)
class Source:
    """A COCO folder, its share of the views, and the clips or files to use (empty for all)."""

    folder: Path
    weight: float = 1.0
    clips: tuple[str, ...] = ()
    only: tuple[Path, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "Source":
        """FOLDER[@WEIGHT][#CLIP,CLIP...]. Raises ValueError."""
        rest, _, clips = text.partition("#")
        folder, _, weight = rest.partition("@")
        share = float(weight) if weight else 1.0
        if not share > 0:
            raise ValueError(f"{text}: the weight must be above 0")
        return cls(Path(folder), share, tuple(c for c in clips.split(",") if c))

    def images(self) -> list[coco.Image]:
        """The pictures of the required clips. Raises coco.DataError, even for none."""
        images = coco.load(self.folder, check_pixels=False).only(self.clips or None).images
        if self.only:
            images = [i for i in images if i.path in self.only]
        if not images:
            raise coco.DataError(self.folder, [f"no picture of the clips {', '.join(self.clips) or '(any)'}"])
        return images


class Views(IterableDataset):
    """Endless views; the same seed and number of workers give the same views."""

    def __init__(self, sources: Sequence[Source], recipe: Recipe, seed: int):
        self.images = [s.images() for s in sources]
        weights = np.array([s.weight for s in sources])
        self.shares = weights / weights.sum()
        self.recipe, self.seed = recipe, seed

    def __iter__(self):
        cv2.setNumThreads(1)
        worker = torch.utils.data.get_worker_info()
        rng = np.random.default_rng([self.seed, worker.id if worker else 0])
        kept: dict[Path, np.ndarray] = {}
        room = KEPT_BYTES
        while True:
            images = self.images[rng.choice(len(self.images), p=self.shares)]
            image = images[rng.integers(len(images))]
            pixels = kept.get(image.path)
            if pixels is None:
                pixels = coco.read_image(image.path)
                if pixels.shape[:2] != (image.height, image.width):
                    size = f"is {pixels.shape[1]}x{pixels.shape[0]}, its labels are for {image.width}x{image.height}"
                    raise coco.DataError(image.path, [size])
                if room >= pixels.nbytes:
                    kept[image.path] = pixels
                    room -= pixels.nbytes
            yield view(pixels, image, self.recipe, rng)


def collate(views: list) -> tuple[torch.Tensor, list[dict]]:
    """uint8 [N, 3, side, side] and the labels in the form of the loss."""
    pixels = torch.from_numpy(np.stack([v.pixels for v in views])).permute(0, 3, 1, 2)
    labels = [{"class_labels": torch.from_numpy(v.kinds), "boxes": torch.from_numpy(v.boxes)} for v in views]
    return pixels, labels


def batches(sources: Sequence[Source], recipe: Recipe, size: int, seed: int, workers: int = 1) -> DataLoader:
    """Endless batches, made in `workers` processes (0: in this process)."""
    return DataLoader(Views(sources, recipe, seed), batch_size=size, collate_fn=collate, num_workers=workers, prefetch_factor=4 if workers else None)
