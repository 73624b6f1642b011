"""Read and write COCO folders, the form of all data sets in this package.

A COCO folder is DIR/annotations.json (keys images, annotations, categories) and
the pictures below DIR/images/. Boxes in the file are [x, y, width, height] in
pixels of the upright picture; in memory they are [x1, y1, x2, y2].

Two keys are not in the standard: "clip" of an image names its flight (pictures
of one clip must never be on both sides of a split), and "estimated" of an
annotation marks a box that no person and no detector placed.
"""

from __future__ import annotations

import json
import math
import os
import reprlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import cv2
import numpy as np

from .faults import DataError, Faults

ANNOTATIONS = "annotations.json"  # in a COCO folder
MAX_FILE_BYTES = 1 << 28
MIN_SIDE = 0.5  # pixels; a thinner box is invalid
CATTLE, OTHER = 0, 1  # classes of the network
CATEGORIES = (
    {"id": 1, "name": "cattle", "supercategory": "animal"},
    {"id": 2, "name": "other animal", "supercategory": "animal"},
)
# Categories of these names are no cattle.
OTHERS = frozenset({
    "other animal", "other", "sheep", "lamb", "goat", "horse", "pony", "foal", "donkey", "mule", "pig", "deer", "elk", "moose",
    "antelope", "gazelle", "impala", "zebra", "giraffe", "elephant", "rhino", "camel", "llama", "alpaca", "kangaroo", "dog", "bird",
    "chicken", "person",
})  # fmt: skip


def no_boxes() -> np.ndarray:
    """An empty float32 [0, 4] array."""
    return np.zeros((0, 4), np.float32)


@dataclass
class Image:
    """One picture and its animals.

    boxes (of cattle), others (of other animals) and ignore are float32 [n, 4], x1 y1
    x2 y2 in pixels, inside the picture. estimated is bool [n], one for each of boxes.
    Training must use nothing inside ignore, neither as animal nor as ground.
    """

    path: Path
    width: int
    height: int
    boxes: np.ndarray = field(default_factory=no_boxes)
    clip: str = ""
    ignore: np.ndarray = field(default_factory=no_boxes)
    estimated: np.ndarray | None = None
    others: np.ndarray = field(default_factory=no_boxes)

    def __post_init__(self) -> None:
        self.boxes = np.asarray(self.boxes, np.float32).reshape(-1, 4)
        self.others = np.asarray(self.others, np.float32).reshape(-1, 4)
        self.ignore = np.asarray(self.ignore, np.float32).reshape(-1, 4)
        if self.estimated is None:
            self.estimated = np.zeros(len(self.boxes), bool)
        self.estimated = np.asarray(self.estimated, bool)
        if len(self.estimated) != len(self.boxes):
            raise ValueError(f"{self.path}: {len(self.estimated)} marks for {len(self.boxes)} boxes")

    def read(self) -> np.ndarray:
        """The pixels: uint8 [height, width, 3], BGR."""
        return read_image(self.path)


@dataclass
class Dataset:
    """A loaded COCO folder; clipped is the number of boxes that were cut at the edge of their picture."""

    root: Path
    images: list[Image]
    clipped: int = 0

    def clips(self) -> dict[str, int]:
        """Pictures of each clip, by name."""
        counts: dict[str, int] = {}
        for image in self.images:
            counts[image.clip] = counts.get(image.clip, 0) + 1
        return dict(sorted(counts.items()))

    def only(self, clips: Iterable[str] | None) -> Dataset:
        """The pictures of the named clips; None keeps all.

        A name ending in * matches every clip with this prefix. A name without a
        match is not an error here, because one list is used for several folders.
        """
        if clips is None:
            return self
        kept = [image for image in self.images if clip_in(image.clip, clips)]
        return Dataset(self.root, kept, self.clipped)


def clip_in(clip: str, names: Iterable[str]) -> bool:
    """Whether a clip is in names; a trailing * in a name matches any rest."""
    return any(clip == n or (n.endswith("*") and clip.startswith(n[:-1])) for n in names)


def read_image(path: str | os.PathLike[str]) -> np.ndarray:
    """Reads a picture upright (EXIF orientation applied) as uint8 [h, w, 3] BGR.

    Raises DataError for a file that cannot be read or decoded.
    """
    try:
        raw = np.fromfile(path, np.uint8)
    except OSError as err:
        raise DataError(path, [f"cannot be read: {err.strerror}"]) from err
    try:
        pixels = cv2.imdecode(raw, cv2.IMREAD_COLOR) if raw.size else None
    except cv2.error:
        pixels = None
    if pixels is None:
        raise DataError(path, ["is not a picture that can be decoded" if raw.size else "is empty"])
    return pixels


def load(
    root: str | os.PathLike[str],
    categories: Sequence[str] | None = None,
    *,
    check_pixels: bool = True,
) -> Dataset:
    """Loads and checks a COCO folder.

    Categories with a name of OTHERS are other animals, all others count as cattle. With
    categories, only those count as cattle, and annotations of the others are left out.
    Annotations with iscrowd become ignore regions.
    Boxes over the edge are cut and counted. check_pixels decodes every picture to
    compare its size; without it only the presence of the file is checked. Raises DataError with all faults.
    """
    base = Path(root)
    file = base / ANNOTATIONS
    faults = Faults(file)
    doc = _parse(file)
    wanted = _categories(doc["categories"], categories, faults)
    images = _images(doc["images"], base, faults)
    clipped = _annotations(doc["annotations"], images, wanted, faults)
    if check_pixels:
        for image in images.values():
            _check_pixels(image, faults)
    faults.check()
    if not images:
        raise DataError(file, ["has no images"])
    return Dataset(base, list(images.values()), clipped)


def _parse(file: Path) -> dict[str, list[Any]]:
    try:
        size = file.stat().st_size
        if size > MAX_FILE_BYTES:
            raise DataError(file, [f"has {size} bytes, want at most {MAX_FILE_BYTES}"])
        raw = file.read_bytes()
    except OSError as err:
        raise DataError(file, [f"cannot be read: {err.strerror}"]) from err
    if not raw.strip():
        raise DataError(file, ["is empty"])
    try:
        doc = json.loads(raw)
    except (ValueError, RecursionError) as err:
        raise DataError(file, [f"is not JSON: {err}"]) from err
    if not isinstance(doc, dict):
        raise DataError(file, ["is not a JSON object with images, annotations and categories"])
    faults = Faults(file)
    for key in ("images", "annotations", "categories"):
        if key not in doc:
            faults.add(f"key {key} is missing")
        elif not isinstance(doc[key], list):
            faults.add(f"key {key} is not a list")
    faults.check()
    return doc


def _identity(entry: Any, kind: str, at: int, seen: Iterable[Any], faults: Faults) -> Any | None:
    """The id of an entry, or None after adding a fault."""
    if not isinstance(entry, dict):
        faults.add(f"{kind} at position {at} is not an object")
        return None
    key = entry.get("id")
    if isinstance(key, bool) or not isinstance(key, int | str):
        faults.add(f"{kind} at position {at} has no id that is a whole number or a text")
        return None
    if key in seen:
        faults.add(f"{kind} {key}: id is used twice")
        return None
    return key


def _categories(entries: list[Any], wanted: Sequence[str] | None, faults: Faults) -> dict[Any, int | None]:
    """The class of each category id, None for one that is left out."""
    counts: dict[Any, int | None] = {}
    names = set()
    for at, entry in enumerate(entries):
        key = _identity(entry, "category", at, counts, faults)
        if key is None:
            continue
        name = entry.get("name")
        if not isinstance(name, str):
            faults.add(f"category {key}: has no name")
        names.add(name if isinstance(name, str) else "")
        if wanted is None:
            counts[key] = OTHER if str(name).strip().lower() in OTHERS else CATTLE
        else:
            counts[key] = CATTLE if name in wanted else None
    for name in wanted or ():
        if name not in names:
            faults.add(f"category {name!r} is required but not in the file")
    return counts


def _images(entries: list[Any], base: Path, faults: Faults) -> dict[Any, Image]:
    images: dict[Any, Image] = {}
    names: set[str] = set()
    for at, entry in enumerate(entries):
        key = _identity(entry, "image", at, images, faults)
        if key is None:
            continue
        name = entry.get("file_name")
        path = _locate(base, name, f"image {key}", faults)
        if isinstance(name, str) and name in names:
            faults.add(f"image {key}: file_name {reprlib.repr(name)} is used twice")
        names.add(str(name))
        width, height = _pixels(entry.get("width")), _pixels(entry.get("height"))
        if width is None or height is None:
            faults.add(f"image {key}: width and height must be whole numbers from 1 to 65535")
        clip = entry.get("clip", base.name)
        if not isinstance(clip, str):
            faults.add(f"image {key}: clip is not a text")
            clip = ""
        # Entries with faults stay in the table, so that their annotations are
        # checked too and are not reported as having an unknown image.
        images[key] = Image(path or Path(), width or 0, height or 0, clip=clip)
    return images


def _pixels(value: Any) -> int | None:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 65535:
        return None
    return value


def _locate(base: Path, name: Any, what: str, faults: Faults) -> Path | None:
    """The file of a picture, below images/ or else below the folder."""
    if not isinstance(name, str) or not name or "\0" in name:
        faults.add(f"{what}: file_name is missing or not a file name")
        return None
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    if posix.is_absolute() or windows.drive or windows.root or ".." in windows.parts:
        faults.add(f"{what}: file_name {reprlib.repr(name)} is outside of the folder")
        return None
    for path in (base / "images" / name, base / name):
        try:
            if path.is_file():
                return path
        except (OSError, ValueError):
            break
    faults.add(f"{what}: there is no file {reprlib.repr(name)}")
    return None


def _annotations(entries: list[Any], images: dict[Any, Image], wanted: dict[Any, int | None], faults: Faults) -> int:
    """Adds the boxes to their images and returns the number of cut ones."""
    clipped = 0
    ids: set[Any] = set()
    found: dict[Any, tuple[list, list, list, list]] = {key: ([], [], [], []) for key in images}
    for at, entry in enumerate(entries):
        key = _identity(entry, "annotation", at, ids, faults)
        if key is None:
            continue
        ids.add(key)
        what = f"annotation {key}"
        image = _refer(entry, "image_id", images, what, faults)
        kind = _refer(entry, "category_id", wanted, what, faults)
        crowd = entry.get("iscrowd", 0)
        if crowd not in (0, 1):
            faults.add(f"{what}: iscrowd must be 0 or 1")
        box = _box(entry.get("bbox"), image, what, faults)
        if box is None or kind is None:
            continue
        boxes, ignore, estimated, others = found[entry["image_id"]]
        clipped += box[1]
        if crowd:
            ignore.append(box[0])
        elif kind == OTHER:
            others.append(box[0])
        else:
            boxes.append(box[0])
            estimated.append(entry.get("estimated") is True)
    for key, (boxes, ignore, estimated, others) in found.items():
        image = images[key]
        image.boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
        image.ignore = np.asarray(ignore, np.float32).reshape(-1, 4)
        image.estimated = np.asarray(estimated, bool)
        image.others = np.asarray(others, np.float32).reshape(-1, 4)
    return clipped


def _refer(entry: dict[str, Any], key: str, table: dict[Any, Any], what: str, faults: Faults) -> Any | None:
    value = entry.get(key)
    if isinstance(value, bool) or not isinstance(value, int | str) or value not in table:
        why = f"{reprlib.repr(value)} is not in the file" if key in entry else "is missing"
        faults.add(f"{what}: {key} {why}")
        return None
    return table[value]


def _box(value: Any, image: Image | None, what: str, faults: Faults) -> tuple[list[float], bool] | None:
    """A box as x1 y1 x2 y2 inside its image, and whether it had to be cut."""
    if not isinstance(value, list) or len(value) != 4:
        faults.add(f"{what}: bbox is missing or not [x, y, width, height]")
        return None
    if any(isinstance(v, bool) or not isinstance(v, int | float) for v in value):
        faults.add(f"{what}: bbox {reprlib.repr(value)} has a value that is not a number")
        return None
    if not all(abs(v) < 1e6 for v in value):  # NaN fails this as well
        faults.add(f"{what}: bbox {reprlib.repr(value)} is not finite or far too large")
        return None
    x, y, w, h = (float(v) for v in value)
    if w < MIN_SIDE or h < MIN_SIDE:
        faults.add(f"{what}: bbox {reprlib.repr(value)} is empty, want sides of at least {MIN_SIDE} pixels")
        return None
    if image is None or not image.width or not image.height:
        return None
    inside = [max(x, 0.0), max(y, 0.0), min(x + w, float(image.width)), min(y + h, float(image.height))]
    if inside[2] - inside[0] < MIN_SIDE or inside[3] - inside[1] < MIN_SIDE:
        faults.add(f"{what}: bbox {reprlib.repr(value)} is outside of its picture of {image.width}x{image.height}")
        return None
    # Rounding errors of other tools do not count as cuts.
    cut = any(not math.isclose(a, b, abs_tol=1e-2) for a, b in zip(inside, (x, y, x + w, y + h), strict=True))
    return inside, cut


def _check_pixels(image: Image, faults: Faults) -> None:
    if not image.width or not image.height or image.path == Path():
        return
    try:
        height, width = read_image(image.path).shape[:2]
    except DataError as err:
        faults.add(f"{image.path}: {err.faults[0]}")
        return
    if (width, height) != (image.width, image.height):
        turned = ", a quarter turn by EXIF?" if (height, width) == (image.width, image.height) else ""
        faults.add(f"{image.path}: is {width}x{height}, the file says {image.width}x{image.height}{turned}")


def save(root: str | os.PathLike[str], images: Sequence[Image], info: str = "") -> None:
    """Writes DIR/annotations.json; the pictures must already be below DIR/images/.

    The file is replaced as a whole. Raises ValueError for a picture in another place.
    """
    base = Path(root)
    doc: dict[str, Any] = {"info": {"description": info}, "images": [], "annotations": [], "categories": list(CATEGORIES)}
    for number, image in enumerate(images, 1):
        name = image.path.relative_to(base / "images").as_posix()
        entry = {"id": number, "file_name": name, "width": image.width, "height": image.height, "clip": image.clip}
        doc["images"].append(entry)
        rows = [(box, CATTLE, 0, bool(e)) for box, e in zip(image.boxes, image.estimated, strict=True)]
        rows += [(box, CATTLE, 1, False) for box in image.ignore] + [(box, OTHER, 0, False) for box in image.others]
        for box, kind, crowd, estimated in rows:
            x1, y1, x2, y2 = (round(float(v), 2) for v in box)
            w, h = round(x2 - x1, 2), round(y2 - y1, 2)
            annotation = {
                "id": len(doc["annotations"]) + 1,
                "image_id": number,
                "category_id": CATEGORIES[kind]["id"],
                "bbox": [x1, y1, w, h],
                "area": round(w * h, 2),
                "iscrowd": crowd,
            }
            if estimated:
                annotation["estimated"] = True
            doc["annotations"].append(annotation)
    part = base / f"{ANNOTATIONS}.part"
    part.write_text(json.dumps(doc), encoding="utf-8")
    part.replace(base / "annotations.json")
