"""COCO folders: what is read, what is refused, and that no bytes break the reader."""

import json
import random

import cv2
import numpy as np
import pytest

from cattletrain import coco
from cattletrain.faults import MAX_FAULTS

GOOD = {
    "images": [{"id": 1, "file_name": "a.png", "width": 64, "height": 48, "clip": "one"}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 8, 20, 16], "iscrowd": 0}],
    "categories": [{"id": 1, "name": "cattle"}, {"id": 2, "name": "horse"}],
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images").mkdir()
    cv2.imwrite(str(tmp_path / "images" / "a.png"), np.full((48, 64, 3), 90, np.uint8))
    return tmp_path


def write(folder, doc):
    (folder / "annotations.json").write_text(doc if isinstance(doc, str) else json.dumps(doc), encoding="utf-8")


def changed(**parts):
    doc = json.loads(json.dumps(GOOD))
    for path, value in parts.items():
        kind, _, key = path.partition("__")
        if key:
            doc[kind][0][key] = value
        else:
            doc[kind] = value
    return doc


def test_reads(folder):
    write(folder, GOOD)
    data = coco.load(folder)
    (image,) = data.images
    assert (image.width, image.height, image.clip, data.clipped) == (64, 48, "one", 0)
    assert image.boxes.tolist() == [[10, 8, 30, 24]] and image.boxes.dtype == np.float32
    assert image.read().shape == (48, 64, 3)
    assert data.clips() == {"one": 1}


def test_clip_defaults_to_the_folder_and_files_may_lie_beside_the_annotations(folder):
    doc = changed(images__file_name="images/a.png")
    del doc["images"][0]["clip"]
    write(folder, doc)
    assert coco.load(folder).images[0].clip == folder.name


def test_boxes_over_the_edge_are_cut_and_counted(folder):
    write(folder, changed(annotations__bbox=[-5, 40, 20, 16]))
    data = coco.load(folder)
    assert data.images[0].boxes.tolist() == [[0, 40, 15, 48]]
    assert data.clipped == 1


def test_crowds_are_ignored_and_other_animals_are_no_cattle(folder):
    more = [
        GOOD["annotations"][0],
        {"id": 2, "image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9], "iscrowd": 1},
        {"id": 3, "image_id": 1, "category_id": 2, "bbox": [40, 20, 9, 9], "estimated": True},
    ]
    write(folder, changed(annotations=more))
    every = coco.load(folder).images[0]
    assert len(every.boxes) == 1 and every.ignore.tolist() == [[0, 0, 9, 9]] and every.estimated.tolist() == [0]
    assert every.others.tolist() == [[40, 20, 49, 29]]
    only = coco.load(folder, ["cattle"]).images[0]
    assert len(only.boxes) == 1 and len(only.others) == 0
    assert len(coco.load(folder, ["cattle", "horse"]).images[0].boxes) == 2
    with pytest.raises(coco.DataError, match="'cow' is required"):
        coco.load(folder, ["cow"])


@pytest.mark.parametrize(
    ("doc", "text"),
    [
        ("", "is empty"),
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "is not a JSON object"),
        ({"images": [], "annotations": []}, "key categories is missing"),
        (changed(images=[]), "image_id 1 is not in the file"),
        ({"images": [], "annotations": [], "categories": []}, "has no images"),
        (changed(images={}), "key images is not a list"),
        (changed(images=["x"]), "image at position 0 is not an object"),
        (changed(images=GOOD["images"] * 2), "image 1: id is used twice"),
        (changed(annotations=GOOD["annotations"] * 2), "annotation 1: id is used twice"),
        (changed(images=[GOOD["images"][0], {**GOOD["images"][0], "id": 2}]), "'a.png' is used twice"),
        (changed(images__id=True), "image at position 0 has no id"),
        (changed(images__file_name="b.png"), "image 1: there is no file 'b.png'"),
        (changed(images__file_name="/etc/passwd"), "is outside of the folder"),
        (changed(images__file_name="../images/a.png"), "is outside of the folder"),
        (changed(images__file_name="..\\a.png"), "is outside of the folder"),
        (changed(images__file_name="C:a.png"), "is outside of the folder"),
        (changed(images__file_name="a\0.png"), "not a file name"),
        (changed(images__file_name="a" * 5000), "there is no file"),
        (changed(images__width=63), "is 64x48, the file says 63x48"),
        (changed(images__width=48, images__height=64), "a quarter turn by EXIF"),
        (changed(images__width=0), "image 1: width and height must be"),
        (changed(images__clip=3), "image 1: clip is not a text"),
        (changed(annotations__image_id=9), "annotation 1: image_id 9 is not in the file"),
        (changed(annotations__category_id=9), "annotation 1: category_id 9 is not in the file"),
        (changed(annotations__category_id=[]), "annotation 1: category_id [] is not in the file"),
        (changed(annotations__iscrowd=2), "annotation 1: iscrowd must be 0 or 1"),
        (changed(annotations__bbox=[70, 8, 20, 16]), "annotation 1: bbox [70, 8, 20, 16] is outside of its picture"),
        (changed(annotations__bbox=[10, 8, 0, 16]), "is empty"),
        (changed(annotations__bbox=[10, 8, -4, 16]), "is empty"),
        (changed(annotations__bbox=[10, 8, float("nan"), 16]), "not finite"),
        (changed(annotations__bbox=[10, float("inf"), 5, 16]), "not finite"),
        (changed(annotations__bbox=[10, 10**400, 5, 16]), "not finite"),
        (changed(annotations__bbox=["1", 2, 3, 4]), "not a number"),
        (changed(annotations__bbox=[1, 2, 3]), "bbox is missing or not"),
        (changed(categories=[{"id": 1}]), "category 1: has no name"),
    ],
)
def test_refuses(folder, doc, text):
    write(folder, doc)
    with pytest.raises(coco.DataError) as caught:
        coco.load(folder)
    assert text in str(caught.value)


def test_unreadable_pictures(folder):
    write(folder, GOOD)
    for content, text in ((b"", "is empty"), (b"no picture at all", "not a picture")):
        (folder / "images" / "a.png").write_bytes(content)
        with pytest.raises(coco.DataError, match=text):
            coco.load(folder)
        coco.load(folder, check_pixels=False)
    with pytest.raises(coco.DataError, match="cannot be read"):
        coco.load(folder / "nowhere")


def test_all_faults_at_once_up_to_a_limit(folder):
    entry = GOOD["annotations"][0]
    write(folder, changed(annotations=[{**entry, "id": n, "image_id": 7} for n in range(50)]))
    with pytest.raises(coco.DataError) as caught:
        coco.load(folder)
    assert caught.value.count == 50 and len(caught.value.faults) == MAX_FAULTS
    assert "50 faults" in str(caught.value) and "and 30 more" in str(caught.value)


def test_saves_what_it_loads(folder):
    marks = np.array([False, True])
    boxes = np.array([[1, 2, 9.25, 8], [20, 20, 64, 48]], np.float32)
    image = coco.Image(folder / "images" / "a.png", 64, 48, boxes, "one", np.array([[0, 0, 5, 5]]), marks)
    coco.save(folder, [image])
    (again,) = coco.load(folder).images
    assert again.boxes.tolist() == boxes.tolist() and again.ignore.tolist() == [[0, 0, 5, 5]]
    assert again.estimated.tolist() == [False, True] and again.clip == "one"
    with pytest.raises(ValueError, match="not in the subpath"):
        coco.save(folder, [coco.Image(folder / "elsewhere.png", 1, 1)])


def test_only_takes_clips_by_name():
    data = coco.Dataset(None, [coco.Image(None, 1, 1, clip=c) for c in ("yak_1", "yak_2", "dairy/44")])
    assert [i.clip for i in data.only(["dairy/*", "yak_2"]).images] == ["yak_2", "dairy/44"]
    assert len(data.only(None).images) == 3 and not data.only([]).images


VALUES = [None, True, -1, 0, 2.5, 10**30, "x", "", "a.png", [], {}, [1, 2, 3, 4], float("nan"), "\ud800", "\0"]


def mutate(value, rng):
    """A copy with one part replaced by something else."""
    if not isinstance(value, dict | list) or not value or rng.random() < 0.15:
        return rng.choice(VALUES)
    copy = dict(value) if isinstance(value, dict) else list(value)
    key = rng.choice(list(copy) if isinstance(copy, dict) else range(len(copy)))
    if rng.random() < 0.1:
        del copy[key]
    else:
        copy[key] = mutate(copy[key], rng)
    return copy


def test_no_document_breaks_the_reader(folder):
    rng = random.Random(3)
    for turn in range(500):
        doc = GOOD
        for _ in range(rng.randint(1, 3)):
            doc = mutate(doc, rng)
        raw = json.dumps(doc).encode()
        if turn % 3 == 0:
            raw = bytearray(raw)
            for _ in range(rng.randint(1, 8)):
                raw[rng.randrange(len(raw))] = rng.randrange(256)
            raw = bytes(raw)
        (folder / "annotations.json").write_bytes(raw)
        try:
            data = coco.load(folder, check_pixels=turn % 50 == 0)
        except coco.DataError as err:
            assert str(err).encode("utf-8", "strict")
            continue
        for image in data.images:
            assert image.path.is_file() and np.isfinite(image.boxes).all()
            assert (image.boxes >= 0).all() and (image.boxes[:, 2:] <= [image.width, image.height]).all()
