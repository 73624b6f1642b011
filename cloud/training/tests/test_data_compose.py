"""Cut-outs are clean, and composed pictures have labels for the visible animals."""

import cv2
import numpy as np
import pytest

from cattletrain import coco, compose, cutouts, paint


def field(rng, width=400, height=300):
    """Grass with grain."""
    ground = np.full((height, width, 3), (60, 130, 90), np.float32) + rng.normal(0, 8, (height, width, 1))
    return np.clip(ground, 0, 255).astype(np.uint8)


def animal(pixels, x, y, rng):
    """Draws a dark animal around (x, y) and returns its box."""
    cv2.ellipse(pixels, (x, y), (26, 12), 0, 0, 360, (35, 30, 32), -1)
    cv2.circle(pixels, (x + 28, y - 4), 7, (40, 36, 40), -1)
    return [x - 27, y - 13, x + 36, y + 13]


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(1)
    root = tmp_path / "farm"
    (root / "images").mkdir(parents=True)
    images = []
    for name, clip in (("a", "train/a"), ("b", "train/b"), ("c", "held")):
        pixels = field(rng)
        boxes = [animal(pixels, x, y, rng) for x, y in ((60, 50), (200, 60), (320, 200))]
        path = root / "images" / f"{name}.png"
        cv2.imwrite(str(path), pixels)
        images.append(coco.Image(path, 400, 300, np.array(boxes), clip))
    coco.save(root, images)
    return root


@pytest.fixture
def library(folder, tmp_path):
    assert cutouts.main([str(folder), "--out", str(tmp_path / "lib")]) == 0
    return tmp_path / "lib"


def test_cuts_the_animal_out(folder):
    image = coco.load(folder).images[0]
    pixels = image.read()
    piece = cutouts.cut(pixels, image.boxes[0])
    shown = piece[..., 3] > 0
    assert 0.45 < shown.mean() < 0.95 and set(np.unique(piece[..., 3])) <= {0, 255}
    assert abs(piece.shape[1] - 63) < 6 and abs(piece.shape[0] - 26) < 6
    assert piece[shown][:, :3].mean() < 60  # of the animal, not the grass


@pytest.mark.parametrize("box", [[100, 100, 160, 130], [0, 0, 400, 300], [10, 10, 14, 14]])
def test_refuses_other_objects(folder, box):
    with pytest.raises(cutouts.Refused):
        cutouts.cut(coco.load(folder).images[0].read(), np.array(box))


def test_skips_boxes_without_a_clean_cut_out(folder):
    data = coco.load(folder)
    image = data.images[0]
    image.estimated[0] = True
    image.ignore = image.boxes[1:2] + 10
    image.boxes[2] = [336, 187, 400, 213]
    data.images = [image]
    found, refused = cutouts.collect(data)
    assert not found and refused == {"estimated box": 1, "not alone": 1, "at the edge of its picture": 1}


def test_library_is_read_by_clip(library):
    assert 7 <= len(cutouts.load(library)) <= 9
    assert {p.clip for p in cutouts.load(library, ["train/*"])} == {"train/a", "train/b"}
    with pytest.raises(coco.DataError, match="no cut-outs of the required clips"):
        cutouts.load(library, ["other"])
    (library / "00000.png").unlink()
    with pytest.raises(coco.DataError, match=r"00000\.png"):
        cutouts.load(library)
    (library / "cutouts.json").write_text('[{"file": "x"}]')
    with pytest.raises(coco.DataError, match="not a list of cut-outs"):
        cutouts.load(library)


def test_limit_per_clip(folder):
    found, _ = cutouts.collect(coco.load(folder), per_clip=2, seed=1)
    clips = [p.clip for p in found]
    assert set(clips) == {"held", "train/a", "train/b"} and max(map(clips.count, clips)) == 2


def test_composes_the_same_pictures_from_the_same_seed(folder, library, tmp_path):
    run = ["--cutouts", str(library), "--backgrounds", str(folder), "--images", "3", "--seed", "3"]
    run += ["--clips", "train/*"]
    assert compose.main([*run, "--out", str(tmp_path / "one" / "x")]) == 0
    assert compose.main([*run, "--out", str(tmp_path / "two" / "x"), "--workers", "1"]) == 0
    one, two = coco.load(tmp_path / "one" / "x"), coco.load(tmp_path / "two" / "x")
    assert one.clips() == {"x": 3} and sum(len(i.boxes) for i in one.images) > 4
    for a, b in zip(one.images, two.images, strict=True):
        assert (a.read() == b.read()).all() and (a.boxes == b.boxes).all()


def test_only_the_required_clips_are_used(folder, library, tmp_path, capsys):
    common = ["--backgrounds", str(folder), "--out", str(tmp_path / "x"), "--images", "1"]
    assert compose.main(["--cutouts", str(library), *common, "--clips", "other"]) == 1
    assert "no cut-outs of the required clips" in capsys.readouterr().err
    pieces = cutouts.load(library, ["train/a"])
    with pytest.raises(coco.DataError, match="no pictures of the required clips"):
        compose.Composer(pieces, compose.Grounds(coco.load(folder).only(["other"]).images), 1)


def test_ground_shows_no_animal(folder):
    grounds = compose.Grounds(coco.load(folder).images)
    for seed in range(10):
        rng = np.random.default_rng(seed)
        window = grounds._window(coco.load(folder, check_pixels=False).images[0], rng, 1.0)
        if window is not None:
            patch = compose._warp(coco.load(folder, check_pixels=False).images[0].read(), window)
            assert (patch.max(axis=2) < 70).mean() < 0.01


def test_a_picture_full_of_animals_has_no_ground(folder):
    image = coco.load(folder).images[0]
    image.ignore = np.array([[0, 0, 400, 300]], np.float32)
    with pytest.raises(coco.DataError, match="no piece of ground"):
        compose.Grounds([image]).draw(np.random.default_rng(1))


def test_boxes_are_tight_around_visible_parts():
    canvas, owner = np.zeros((100, 100, 3), np.float32), np.zeros((100, 100), np.int32)
    piece = np.ones((20, 40, 4), np.float32)
    whole = [paint.paste(canvas, owner, piece, x, y, n) for n, (x, y) in enumerate([(10, 10), (85, 40), (12, 18)], 1)]
    whole.append(paint.paste(canvas, owner, piece, 10, 60, 4))
    whole.append(paint.paste(canvas, owner, piece, 10, 64, 5))
    boxes, ignore, shown = compose._visible(owner, whole)
    assert boxes.tolist() == [[10, 10, 50, 30], [85, 40, 100, 60], [12, 18, 52, 38], [10, 64, 50, 84]]
    assert ignore.tolist() == [[10, 60, 50, 64]] and shown == [0, 1, 2, 4]


def test_animals_cut_out_of_a_flock_are_no_cattle(folder):
    data = coco.load(folder)
    for image in data.images[:1]:
        image.boxes, image.others, image.estimated = coco.no_boxes(), image.boxes, np.zeros(0, bool)
    pieces, _ = cutouts.collect(data)
    assert [p.kind for p in pieces].count(coco.OTHER) >= 2
    composer = compose.Composer(pieces, compose.Grounds(data.images[1:]), 5)
    pictures = [composer.make(n) for n in range(12)]
    assert sum(len(p.others) for p in pictures) > 0 and sum(len(p.boxes) for p in pictures) > 0
    flock = compose.Composer([p for p in pieces if p.kind == coco.OTHER], compose.Grounds(data.images[1:]), 5)
    made = [flock.make(n) for n in range(4)]
    assert sum(len(p.others) for p in made) > 0 and not any(len(p.boxes) for p in made)


def test_layouts_run_from_empty_to_crowded():
    counts = [len(compose.lay_out(np.random.default_rng(seed))) for seed in range(200)]
    assert min(counts) == 0 and 80 < max(counts) <= compose.MOST
    for spot in compose.lay_out(np.random.default_rng(7)):
        assert compose.BODY[0] <= spot.body <= compose.BODY[1]


def test_single_animals_stand_far_from_each_other():
    layouts = [compose.lay_out_apart(np.random.default_rng(seed)) for seed in range(100)]
    assert min(map(len, layouts)) == 1 and 8 <= max(map(len, layouts)) <= compose.MOST_APART
    for spots in layouts:
        assert all(0.8 * compose.ALONE[0] <= s.body <= 1.2 * compose.ALONE[1] for s in spots)
        gaps = [np.hypot(a.x - b.x, a.y - b.y) for n, a in enumerate(spots) for b in spots[:n]]
        assert not gaps or min(gaps) >= compose.APART * max(s.body for s in spots) / 1.2


def test_the_share_of_single_animals_is_kept(folder, library, tmp_path, capsys):
    pieces, grounds = cutouts.load(library), compose.Grounds(coco.load(folder).images)
    apart = [compose.Composer(pieces, grounds, 4, 1.0).make(n) for n in range(12)]
    assert all(0 < len(p.boxes) + len(p.ignore) <= compose.MOST_APART for p in apart)
    crowd = [compose.Composer(pieces, grounds, 4).make(n) for n in range(12)]
    assert max(len(p.boxes) for p in crowd) > compose.MOST_APART
    run = ["--cutouts", str(library), "--backgrounds", str(folder), "--out", str(tmp_path / "x"), "--clips", "*", "--images", "1"]
    assert compose.main([*run, "--apart", "1.5"]) == 1
    assert "--apart 1.5 is not between 0 and 1" in capsys.readouterr().err


def test_recolour_preserves_the_shape_and_place_scales_it(folder):
    image = coco.load(folder).images[0]
    piece = cutouts.cut(image.read(), image.boxes[0])
    rng = np.random.default_rng(2)
    looks = [paint.recolour(piece, rng, keep=0) for _ in range(8)]
    assert all((look[..., 3] == piece[..., 3]).all() for look in looks)
    means = [look[piece[..., 3] > 0][:, :3].mean() for look in looks]
    assert max(means) - min(means) > 30
    small = paint.place(piece, 0.5, 90, False)
    assert abs(small.shape[0] - piece.shape[1] / 2) < 6 and small[..., 3].min() >= 0 and small[..., 3].max() <= 1
