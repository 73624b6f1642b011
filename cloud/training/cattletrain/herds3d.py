"""Render labelled pictures: herds, other animals and many things that are none, from the models of the game 0 A.D.

The art of the game is CC-BY-SA 3.0 (Wildfire Games); it is read, never copied here. Category 1 of the
annotations is cattle, category 2 other animals. A picture depends only on the inputs, the seed and its number.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from . import animals3d, coats, herd_layout, photograph, pyrogenesis, sites, soils, solids
from .coco import ANNOTATIONS, DataError
from .paint import windows
from .raster import Body, Camera, Light, Sprite, draw, shadow

SIDE = 1024  # pixels, of the pictures made
BODY = (13.0, 215.0)  # pixels, the length of a grown cow
VISIBLE, HINT = 0.35, 0.08  # visible shares: from the first an animal has a box, from the second an ignore region
SAVE_EVERY = 20  # pictures
SHAPES = 40  # different things of each name
THINGS = solids.THINGS | sites.THINGS
ONE_PLACE = 0.5  # share of the pictures with things whose things are those of one kind of place
PLAIN = 0.2  # share of the pictures without animals
CLOSE = {"white": (("charolais", "brahman"), (70.0, 215.0)), "dark": (("angus", "mixed brown", "black face"), (13.0, 40.0))}  # breeds, body in pixels
CATEGORIES = [
    {"id": 1, "name": "cattle", "supercategory": "animal"},
    {"id": 2, "name": "other animal", "supercategory": "animal"},
]
BUSHES = (
    "bush_medit_la", "bush_medit_me_dry", "bush_desert_a", "bush_desert_dry_a", "bush_dry_a", "bush_tempe_la", "bush_tempe_me_dry", "bush_tropic_a",
    "bush_highlands", "berry_bush", "ferns", "grass_soft_large", "grass_savanna", "plant_desert_a", "bush_juniper_prickly", "grass_tufts_a", "reeds_pond_dry",
)  # fmt: skip
TREES = ("acacia", "acacia_bush_small", "carob", "oak", "olive", "fig", "tamarix", "poplar", "pine", "palm_date", "dead_a_1", "apple", "juniper_prickly")
PROPS = (
    "hay_a", "hay_large", "hay_cart", "handcart_1", "barrel_a", "crate_pile", "food_sack", "plank_pile_big_01", "wood_pile", "stone_pile",
    "block_limestone", "well_1_a", "table_rectangle", "wheel_laying", "basket_iber_a", "awning_wood_small", "produce_bin_a", "sack_1_rough",
)  # fmt: skip
OFTEN = ("boulder", "bush", "junk", "mound", "art bush", "art tree", "art prop", "art rock")  # things besides those of solids
ROCKS = ("gray1", "highland1", "highland2_moss", "stone_granite_boulder", "stone_granite_small", "stone_desert_med", "stone_savanna_med", "shoreline_small")


@dataclass
class Picture:
    """A rendered picture: pixels uint8 [SIDE, SIDE, 3] BGR, boxes float32 [n, 4] of cattle, others and mostly hidden cattle."""

    pixels: np.ndarray
    cattle: np.ndarray
    others: np.ndarray
    ignore: np.ndarray


@dataclass
class _Scene:
    """The state of one picture while it is made."""

    rng: np.random.Generator
    camera: Camera
    light: Light
    scale: float
    bodies: list[tuple[Body, str]] = field(default_factory=list)  # kinds: cattle, other, thing
    taken: list[tuple[float, float, float]] = field(default_factory=list)  # circles: x, y, radius in metres

    @property
    def view(self) -> float:
        """The width of the view in metres."""
        return SIDE / self.scale

    def add(self, body: Body, kind: str, x: float, y: float, turn: float, scale: float = 1.0) -> None:
        """Puts a body at (x, y) metres, turned by radians."""
        self.bodies.append((body.moved(x, y, turn, scale), kind))

    def free(self, x: float, y: float, radius: float) -> bool:
        """Whether a circle in metres touches none that is taken."""
        return all(np.hypot(x - a, y - b) > radius + r for a, b, r in self.taken)

    def place(self) -> tuple[float, float]:
        """A random place on the visible ground."""
        x, y = self.camera.ground(self.rng.uniform(-20, SIDE + 20, (1, 2)))[0]
        return float(x), float(y)


class Renderer:
    """Makes pictures from the game's art and pictures of empty ground."""

    def __init__(self, art: pyrogenesis.Art, ground: soils.Soils, seed: int, alike: float = 0.25, plain: float = PLAIN, close: float = 0.0):
        """alike is the share of herds with coats like the ground, plain of pictures without animals, close of herds that are hard to tell apart:
        white ones from near and dark ones from far, in pens."""
        self.art, self.ground, self.seed, self.alike, self.plain, self.close = art, ground, seed, alike, plain, close
        self.zoo = animals3d.Zoo(art)
        self._solids: dict[tuple[str, int], Body] = {}
        self.kinds = [kind for kind in animals3d.OTHERS if self.zoo.has(kind)]
        if not self.zoo.has(animals3d.CATTLE):
            raise DataError(art.root, ["has no cattle among its actors"])

    def make(self, number: int) -> Picture:
        """Picture `number` of this seed, always the same."""
        rng = np.random.default_rng([self.seed, number])
        kind = rng.random()
        kind = 0.8 * kind / max(1e-9, 1 - self.plain) if kind < 1 - self.plain else 1.0
        close = str(rng.choice(sorted(CLOSE))) if kind < 0.62 and rng.random() < self.close else ""
        scene = _scene(rng, CLOSE[close][1] if close else None)
        canvas = self.ground.draw(rng, scene.camera, SIDE, scene.scale)
        if kind < 0.62:
            self._cattle(scene, canvas, close)
        if 0.54 < kind < 0.8 and self.kinds:
            self._others(scene)
        if rng.random() < (0.5 if kind < 0.8 else 1.0):
            self._things(scene, 1.0 if kind < 0.8 else 2.2)
        return self._compose(scene, canvas)

    def _cattle(self, scene: _Scene, canvas: np.ndarray, close: str) -> None:
        rng = scene.rng
        breeds = list(CLOSE[close][0]) if close else coats.herd(rng)
        bright = float(canvas.mean())
        if not close and rng.random() < self.alike:  # the hard case
            breeds = ["charolais", "brahman", "brahman"] if bright > 110 else ["angus", "black face"] if bright < 75 else ["brahman", "jersey"]
        kind = str(rng.choice(("pen", "groups"))) if close else str(rng.choice(herd_layout.KINDS, p=herd_layout.CHANCES))
        spots = herd_layout.herd(rng, scene.view, kind)
        if kind == "trough" and spots:
            turn, reach = spots[0].turn + np.pi / 2, scene.view
            box = solids.Solids(0.04).box((0, 0, 0.25), (reach, 0.6, 0.5), (120, 126, 130)).box((0, 0, 0.28), (reach, 0.45, 0.5), (90, 120, 134))
            scene.add(box.body(), "thing", 0, 0, turn)
        if kind in ("pen", "lane") and rng.random() < 0.7:
            self._fence(scene, spots)
        for spot in spots:
            if not self._seen(scene, spot):
                continue
            body = self.zoo.cattle(breeds[rng.integers(len(breeds))], spot.size, spot.state, rng)
            scene.add(body, "cattle", spot.x, spot.y, spot.turn)
            scene.taken.append((spot.x, spot.y, 1.2 * spot.size))

    @staticmethod
    def _seen(scene: _Scene, spot: herd_layout.Spot) -> bool:
        point, _ = scene.camera.project(np.array([[spot.x, spot.y, 0.5]]))
        margin = 2 * animals3d.CATTLE_LENGTH * scene.scale
        return bool((point > -margin).all() and (point < SIDE + margin).all())

    def _fence(self, scene: _Scene, spots: list[herd_layout.Spot]) -> None:
        if not spots:
            return
        rng, turn = scene.rng, spots[0].turn
        places = np.array([[s.x, s.y] for s in spots])
        along = np.array([np.cos(turn), np.sin(turn)])
        across = np.array([-along[1], along[0]])
        low, high = (places @ across).min() - 1.6, (places @ across).max() + 1.6
        paint, rails, reach = solids.tint(rng, (110, 112, 114), (70, 90, 110), (190, 192, 194)), int(rng.integers(1, 4)), 1.5 * scene.view
        for offset in (low, high):
            out = solids.Solids(0.05)
            for n in range(rails):
                out.box((0, 0, 0.45 + 0.4 * n), (reach, 0.06, 0.08), paint)
            for x in np.arange(-reach / 2, reach / 2, max(2.5, reach / 60)):
                out.box((x, 0, 0.65), (0.1, 0.1, 1.3), paint)
            at = across * offset + along * (places @ along).mean()
            scene.add(out.body(), "thing", at[0], at[1], turn)

    def _others(self, scene: _Scene) -> None:
        rng = scene.rng
        for _ in range(1 if rng.random() < 0.75 else 2):
            kind = self.kinds[0] if rng.random() < 0.25 else self.kinds[rng.integers(len(self.kinds))]
            layout = str(rng.choice(["sparse", "groups", "pen", "lane"], p=[0.35, 0.45, 0.1, 0.1]))
            spots = herd_layout.herd(rng, scene.view, layout, kind.length / animals3d.CATTLE_LENGTH)
            for spot in spots[: int(rng.integers(kind.group[0], kind.group[1] + 1))]:
                if self._seen(scene, spot) and scene.free(spot.x, spot.y, 0.5 * kind.length):
                    scene.add(self.zoo.other(kind, rng), "other", spot.x, spot.y, spot.turn, 0.6 if spot.size < 0.75 else 1.0)
            scene.taken += [(s.x, s.y, 0.5 * kind.length) for s in spots]

    def _things(self, scene: _Scene, amount: float) -> None:
        """Things of one to four kinds; of each kind one or many."""
        rng = scene.rng
        models = 0
        place = sites.PLACES[str(rng.choice(sorted(sites.PLACES)))] if rng.random() < ONE_PLACE else ()
        for _ in range(int(rng.integers(1, 4)) + int(amount) + len(place) // 3):
            name = str(rng.choice([*place, "bush", "car", "person"] if place else [*THINGS, *OFTEN]))
            if name == "car" and rng.random() < 0.5:
                self._parked(scene)
                continue
            many = 1 + int(rng.exponential(2.5 * amount))
            if name in ("bush", "boulder", "tussock", "mound", "art bush"):
                many = int(rng.integers(2, 9 * amount + 4))
            if name.startswith("art"):
                many = min(many, 3)
                models += many
                if models > 5:
                    continue
            if name in ("shed", "house", "villa", "machine", "bunker", "art tree"):
                many = min(many, 3)
            for _ in range(many):
                body, wide = self._thing(name, rng)
                x, y = scene.place()
                if body is not None and (name == "art tree" or scene.free(x, y, wide / 2)):
                    scene.add(body, "thing", x, y, rng.uniform(0, 2 * np.pi))

    def _solid(self, name: str, shape: int) -> Body:
        """One of the SHAPES things of a name; made once, because a bush of many leaves takes as long as five animals."""
        if (name, shape) not in self._solids:
            number = sorted(THINGS).index(name)
            self._solids[name, shape] = THINGS[name](np.random.default_rng([self.seed, number, shape]))
        return self._solids[name, shape]

    @staticmethod
    def _parked(scene: _Scene) -> None:
        rng = scene.rng
        (x, y), turn = scene.place(), rng.uniform(0, 2 * np.pi)
        for body, along, across in solids.cars(rng):
            at = x + along * np.cos(turn) - across * np.sin(turn), y + along * np.sin(turn) + across * np.cos(turn)
            if scene.free(*at, 2.3):
                scene.add(body, "thing", *at, turn + np.pi * (rng.random() < 0.3))

    def _thing(self, name: str, rng: np.random.Generator) -> tuple[Body | None, float]:
        """A thing at the origin and its width in metres; None where the art lacks it."""
        if name in THINGS:
            body = self._solid(name, int(rng.integers(SHAPES))).moved(0, 0, 0, float(np.exp(rng.normal(0, 0.12))))
            return body, float(np.ptp(body.places[:, :2], axis=0).max())
        folder, names, size = {
            "art bush": ("props/flora", BUSHES, (0.6, 3.0)),
            "art tree": ("flora/trees", TREES, (3.0, 10.0)),
            "art prop": ("props/special/eyecandy", PROPS, (0.6, 3.0)),
            "art rock": ("geology", ROCKS, (0.8, 4.0)),
        }[name]
        try:
            body = self.zoo.thing(f"{folder}/{names[rng.integers(len(names))]}.xml", rng.uniform(*size), name in ("art bush", "art tree"), rng)
        except DataError:
            return None, 0.0
        return body, size[1]

    def _compose(self, scene: _Scene, canvas: np.ndarray) -> Picture:
        rng, camera, light = scene.rng, scene.camera, scene.light
        order = sorted(scene.bodies, key=lambda entry: -float(camera.project(entry[0].places)[1].min()))
        still, moving = np.zeros((SIDE, SIDE), np.float32), np.zeros((SIDE, SIDE), np.float32)
        for body, kind in order:
            piece = shadow(body, camera, light, SIDE)
            if piece is not None:
                _onto(still if kind == "thing" else moving, piece.alpha, piece.x, piece.y)
        shade = np.maximum(still, moving)[..., None] * _darkness(light)
        tint = np.array([0.9, 1.0, 1.05], np.float32)  # shadows are a little bluer than the ground
        canvas *= 1 - shade * tint
        owner = np.zeros((SIDE, SIDE), np.int32)
        gain, grey, soft = np.exp(rng.normal(-0.04, 0.1)), rng.uniform(0, 0.35), rng.uniform(0, 0.6)
        areas = []
        over = 4 if scene.scale < 10 else 3 if scene.scale < 20 else 2  # fewer parts of a pixel where there are many pixels
        below = still * (0.8 * _darkness(light))
        for number, (body, kind) in enumerate(order, 1):
            piece = draw(body, camera, light, SIDE, 2 if body.leafy else over, kind == "thing")
            areas.append((0 if piece is None else int((piece.alpha > 0.5).sum()), kind))
            if piece is not None:
                colour = piece.colour * np.float32(1 - grey) + cv2.cvtColor(piece.colour, cv2.COLOR_BGR2GRAY)[..., None] * np.float32(grey)
                _paste(canvas, owner, Sprite(colour * np.float32(gain), piece.alpha, piece.x, piece.y), number, below, soft)
        cattle, others, ignore = _boxes(owner, areas)
        return Picture(photograph.take(canvas, rng), cattle, others, ignore)


def _scene(rng: np.random.Generator, body: tuple[float, float] | None = None) -> _Scene:
    """Camera and light of a picture; body is the length of a grown cow in pixels, from and to."""
    draw_tilt = rng.random()
    tilt = rng.uniform(0, 6) if draw_tilt < 0.6 else rng.uniform(6, 30) if draw_tilt < 0.82 else rng.uniform(30, 52)
    spread = rng.uniform(14, 55 if tilt < 10 else 36)
    low, high = body or ((BODY[0], 60) if rng.random() < 0.35 else (40, BODY[1]))
    scale = float(np.exp(rng.uniform(np.log(low), np.log(high)))) / animals3d.CATTLE_LENGTH
    offset = tuple(rng.uniform(-400, 400, 2)) if tilt < 10 else (rng.uniform(-300, 300), 0.0)
    camera = Camera.over(SIDE, scale, np.radians(tilt), np.radians(spread), offset)
    up, way = np.radians(rng.uniform(22, 82)), rng.uniform(0, 2 * np.pi)
    sun = np.array([np.cos(up) * np.cos(way), np.cos(up) * np.sin(way), np.sin(up)])
    weather = rng.random()
    if weather < 0.28:
        light = Light(np.array([0.05 * np.cos(way), 0.05 * np.sin(way), 1.0]), rng.uniform(0.02, 0.15), rng.uniform(0.15, 0.3))
    elif weather < 0.45:
        light = Light(sun, rng.uniform(0.2, 0.45), rng.uniform(0.04, 0.12))
    else:
        light = Light(sun, rng.uniform(0.55, 0.85), rng.uniform(0.004, 0.02))
    return _Scene(rng, camera, light, scale)


def _darkness(light: Light) -> float:
    return float(np.clip(0.22 + 0.62 * light.strength, 0, 0.75))


def _onto(shade: np.ndarray, piece: np.ndarray, x: int, y: int) -> None:
    target, source = windows(shade.shape, piece.shape, x, y)
    np.maximum(shade[target], piece[source], out=shade[target])


def _paste(canvas: np.ndarray, owner: np.ndarray, piece: Sprite, number: int, shade: np.ndarray, soft: float) -> None:
    alpha, colour = piece.alpha, piece.colour
    target, source = windows(canvas.shape, alpha.shape, piece.x, piece.y)
    if min(canvas[target].shape[:2]) == 0:
        return
    if soft > 0.25:
        both = cv2.GaussianBlur(np.dstack([colour * alpha[..., None], alpha]), (0, 0), soft)
        alpha = both[..., 3]
        colour = both[..., :3] / np.maximum(alpha, 1e-3)[..., None]
    opaque = alpha[source][..., None]
    seen = colour[source] * (1 - shade[target][..., None])
    canvas[target] = canvas[target] * (1 - opaque) + seen * opaque
    owner[target][opaque[..., 0] > 0.5] = number


def _boxes(owner: np.ndarray, areas: list[tuple[int, str]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes float32 [n, 4] of the visible parts: cattle, other animals, and animals that are mostly hidden."""
    found: dict[str, list] = {"cattle": [], "other": [], "ignore": []}
    rows, columns = np.nonzero(owner)
    numbers = owner[rows, columns]
    order = np.argsort(numbers, kind="stable")
    bounds = np.searchsorted(numbers[order], np.arange(1, len(areas) + 2))
    for n, (area, kind) in enumerate(areas):
        mine = order[bounds[n] : bounds[n + 1]]
        if kind == "thing" or len(mine) < 4 or len(mine) < HINT * area:
            continue
        x, y = columns[mine], rows[mine]
        box = [x.min(), y.min(), x.max() + 1, y.max() + 1]
        plain = len(mine) >= VISIBLE * area and min(box[2] - box[0], box[3] - box[1]) >= 3
        found[kind if plain else "ignore"].append(box)
    return tuple(np.asarray(found[k], np.float32).reshape(-1, 4) for k in ("cattle", "other", "ignore"))


def write(renderer: Renderer, target: Path, count: int) -> tuple[int, int, int]:
    """Renders pictures 0 to count-1 into the COCO folder target; returns the numbers of cattle, others and hidden ones.

    The annotations are written every SAVE_EVERY pictures, so that a stopped run leaves a whole folder.
    """
    (target / "images").mkdir(parents=True, exist_ok=True)
    doc: dict = {"info": {"description": f"rendered from art of 0 A.D. (CC-BY-SA 3.0), seed {renderer.seed}"},
                 "images": [], "annotations": [], "categories": CATEGORIES}  # fmt: skip
    totals = [0, 0, 0]
    for number in range(count):
        picture = renderer.make(number)
        name = f"{number:06d}.jpg"
        if not cv2.imwrite(str(target / "images" / name), picture.pixels, [cv2.IMWRITE_JPEG_QUALITY, 84 + number % 4 * 4]):
            raise OSError(f"picture {target / 'images' / name} cannot be written")
        doc["images"].append({"id": number + 1, "file_name": name, "width": SIDE, "height": SIDE, "clip": target.resolve().name})
        for at, (boxes, category, crowd) in enumerate(((picture.cattle, 1, 0), (picture.others, 2, 0), (picture.ignore, 1, 1))):
            totals[at] += len(boxes)
            for x1, y1, x2, y2 in boxes.tolist():
                doc["annotations"].append({"id": len(doc["annotations"]) + 1, "image_id": number + 1, "category_id": category,
                                           "bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1), "iscrowd": crowd})  # fmt: skip
        if (number + 1) % SAVE_EVERY == 0 or number + 1 == count:
            draft = target / (ANNOTATIONS + ".part")
            draft.write_text(json.dumps(doc))
            draft.replace(target / ANNOTATIONS)
    return tuple(totals)


def main(argv: list[str] | None = None) -> int:
    """Command line: python -m cattletrain.herds3d ZEROAD OUT --images N --seed S."""
    parser = argparse.ArgumentParser(prog="cattletrain.herds3d", description="Render herds, other animals and things from above.")
    parser.add_argument("zeroad", type=Path, help="folder with art/ of 0 A.D.")
    parser.add_argument("target", type=Path, help="COCO folder to write")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--photos", type=Path, nargs="*", default=[], metavar="DIR", help="folders with pictures of empty ground from above")
    parser.add_argument("--alike", type=float, default=0.25, help="share of herds with coats like the ground (default 0.25)")
    parser.add_argument("--plain", type=float, default=PLAIN, help="share of pictures without animals (default 0.2)")
    parser.add_argument("--close", type=float, default=0.0, help="share of herds of white cattle from near or dark ones from far, in pens (default 0)")
    parser.add_argument("--part", type=float, default=1.0, help="use only this first share of each site's pictures (default 1)")
    args = parser.parse_args(argv)
    try:
        if args.images < 1 or args.seed < 0 or not 0 < args.part <= 1 or not all(0 <= share <= 1 for share in (args.alike, args.plain, args.close)):
            raise DataError("command line", ["images must be at least 1, seed at least 0, part above 0 and at most 1, the other shares from 0 to 1"])
        art = pyrogenesis.Art(args.zeroad)
        photos = [path for folder in args.photos for path in soils.photographs(folder, args.part)]
        cv2.setNumThreads(1)
        totals = write(Renderer(art, soils.Soils(photos, soils.textures(art.root)), args.seed, args.alike, args.plain, args.close), args.target, args.images)
    except (DataError, OSError) as err:
        print(err, file=sys.stderr)
        return 1
    print(f"{args.target}: {args.images} pictures, {totals[0]} cattle, {totals[1]} other animals, {totals[2]} mostly hidden")
    return 0


if __name__ == "__main__":
    sys.exit(main())
