"""Pictures without animals as a COCO folder, for other kinds of ground.

Training uses them as negatives, and compose pastes animals into them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2

from . import coco

LEAST_SIDE = 512  # pixels; smaller pictures do not fill a view
KINDS = (".jpg", ".jpeg", ".png")
QUALITY = 92


def convert(root: Path, target: Path, without: Sequence[str] = ()) -> list[coco.Image]:
    """Writes the COCO folder target from the colour pictures below root, all of one clip, named after target.

    It skips pictures below LEAST_SIDE, grey ones, and those with a word of without in their name. Raises
    coco.DataError for no picture, and for one that cannot be read.
    """
    (target / "images").mkdir(parents=True, exist_ok=True)
    faults, images = coco.Faults(root), []
    for path in sorted(p for p in root.rglob("*") if p.suffix.lower() in KINDS):
        if any(word in path.name for word in without):
            continue
        pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)  # coco.read_image would hide the single channel of a mask
        if pixels is None:
            faults.add(f"{path.relative_to(root)}: cannot be read")
            continue
        if pixels.ndim < 3 or pixels.shape[2] < 3 or min(pixels.shape[:2]) < LEAST_SIDE:
            continue
        height, width = pixels.shape[:2]
        copy = target / "images" / f"{len(images):04d}.jpg"
        if not cv2.imwrite(str(copy), pixels[..., :3], [cv2.IMWRITE_JPEG_QUALITY, QUALITY]):
            raise OSError(f"picture {copy} cannot be written")
        images.append(coco.Image(copy, width, height, coco.no_boxes(), target.resolve().name))
    faults.check()
    if not images:
        raise coco.DataError(root, [f"has no colour picture of at least {LEAST_SIDE} pixels"])
    coco.save(target, images, "ground without animals")
    return images


def main(argv: list[str] | None = None) -> int:
    """Command line: python -m cattletrain.ground SRC DST."""
    parser = argparse.ArgumentParser(prog="cattletrain.ground", description="Pictures without animals as a COCO folder.")
    parser.add_argument("source", type=Path, help="folder with pictures, at any depth")
    parser.add_argument("target", type=Path, help="COCO folder to write")
    parser.add_argument("--without", nargs="*", default=[], metavar="WORD", help="skip files with a word in their name")
    args = parser.parse_args(argv)
    try:
        images = convert(args.source, args.target, args.without)
    except (coco.DataError, OSError) as err:
        print(err, file=sys.stderr)
        return 1
    print(f"{args.target}: {len(images)} pictures")
    return 0


if __name__ == "__main__":
    sys.exit(main())
