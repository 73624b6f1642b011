"""Fine-tuning on another herd does not lose what the model knew."""

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml

from cattletrain import checkpoint, coco, feed, finetune, fuse, network, replay, train, validate

SIDE = 256
STORED = Path(__file__).parents[2] / "cmd/worker/verify.jpg"  # cattle from above


def drawn(root: Path, seed: int, count: int = 10) -> Path:
    """A COCO folder of bright ovals, and grey ones that are no animals, on noise, in clips of two pictures."""
    rng, images = np.random.default_rng(seed), []
    (root / "images").mkdir(parents=True)
    for n in range(count):
        picture, boxes = rng.integers(60, 90, (SIDE, SIDE, 3), dtype=np.uint8), []
        for x, y, stone in ((60, 60, 0), (180, 80, 0), (110, 190, 0), (60, 150, 1), (190, 190, 1), (120, 50, 1)):
            (x, y), (w, h) = np.add((x, y), rng.uniform(-15, 15, 2)), rng.uniform(24, 40, 2)
            cv2.ellipse(picture, ((x, y), (w, h), 0), (150, 150, 150) if stone else (60, 220, 230), -1)
            if stone:
                continue
            boxes.append([x - w / 2, y - h / 2, x + w / 2, y + h / 2])
        path = root / "images" / f"{n}.png"
        cv2.imwrite(str(path), picture)
        images.append(coco.Image(path, SIDE, SIDE, np.array(boxes, np.float32), clip=f"clip{n // 2}"))
    coco.save(root, images)
    return root


def known(root: Path) -> Path:
    """A COCO folder of what the default model knows: turns of the stored picture, with its own detections as labels."""
    (root / "images").mkdir(parents=True)
    model = fuse.fused(checkpoint.model_of(finetune.START)[0])
    whole, images = cv2.imread(str(STORED)), []
    side = min(whole.shape[:2])
    for n in range(8):
        picture = np.ascontiguousarray(np.rot90(whole[:side, :side] if n < 4 else whole[-side:, -side:][:, ::-1], n % 4))
        picture = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        path = root / "images" / f"{n}.png"
        cv2.imwrite(str(path), picture)
        x = torch.from_numpy(picture[..., ::-1].copy()).permute(2, 0, 1)[None].float() / 255
        with torch.inference_mode():
            out = model(pixel_values=network.normalised(x))
        scores = out.logits[0, :, 0].sigmoid().numpy()
        boxes = np.clip(validate.corners(out.pred_boxes[0].numpy()) * SIDE, 0, SIDE)
        unsure = boxes[(scores > 0.1) & (scores <= 0.6)]
        images.append(coco.Image(path, SIDE, SIDE, boxes[scores > 0.6], clip=f"turn{n}", ignore=unsure))
    coco.save(root, images)
    return root


def settings(out: Path, **changes) -> train.Settings:
    s = train.Settings(
        sources=[], validation=[], out=out, start=finetune.START, steps=16, batch=2, side=SIDE, warmup=2, save_every=1000, check_every=1000,
        workers=0, rate=4e-4, backbone_rate=1e-4, average=0.5,
    )  # fmt: skip
    return dataclasses.replace(s, **changes)


def score(path: Path, data: Path) -> validate.Score:
    return validate.score(fuse.fused(checkpoint.model_of(path)[0]), validate.tiles([feed.Source(data)], SIDE))


def test_the_old_herd_is_not_forgotten(tmp_path):
    old, new = known(tmp_path / "old"), drawn(tmp_path / "new", 2)
    before = score(finetune.START, old)
    assert before.f1 > 0.95, before
    plain = settings(tmp_path / "plain")
    finetune.finetune(new, tmp_path / "a", plain, "a")
    forgot = score(plain.out / train.BEST, old)
    kept = settings(tmp_path / "kept")
    gained = finetune.finetune(new, tmp_path / "b", kept, "b", [feed.Source(old)])
    after = score(kept.out / finetune.MIXED, old)
    print(f"\nbefore {before}\nforgot {forgot}\nafter  {after}\nnew    {score(finetune.START, new)} to {gained}")
    assert after.f1 > before.f1 - 0.04, (before, after)
    assert forgot.f1 < after.f1 - 0.01, "the run without replay forgets, so this test can fail"
    assert gained.f1 > score(finetune.START, new).f1 + 0.1, gained
    card = yaml.safe_load((tmp_path / "b/cattlecounter.yaml").read_text())
    assert card["finetuned_from"].startswith("default@") and len(card["finetuned_from"]) == len("default@") + 64
    assert "Share of the new weights" in (tmp_path / "b/README.md").read_text()
    held = (kept.out / finetune.HELD).read_text().split()
    assert held and set(held) < {f"clip{n}" for n in range(5)}


def test_a_damaged_run_is_not_taken(tmp_path):
    """Noise in all weights costs skill, and then the mixture has less of it, down to nothing."""
    data, state = known(tmp_path / "old"), checkpoint.read(finetune.START)
    noise = torch.Generator().manual_seed(1)
    bad = {k: v + 0.3 * v.std() * torch.randn(v.shape, generator=noise) if v.is_floating_point() and v.ndim > 1 else v for k, v in state["weights"].items()}
    checkpoint.save(tmp_path / "bad.pt", {"config": state["config"], "weights": bad})
    tiles = validate.tiles([feed.Source(data)], SIDE)
    m = replay.choose(state["weights"], tmp_path / "bad.pt", tmp_path / "mixed.pt", tiles, tiles)
    assert m.share == 0 and m.old == m.before
    mixed = checkpoint.read(tmp_path / "mixed.pt")["weights"]
    assert all(torch.equal(mixed[k], v) for k, v in state["weights"].items())
    # The other way round all of the good weights are taken.
    m = replay.choose(bad, finetune.START, tmp_path / "mixed.pt", tiles, tiles)
    assert m.share == 1 and m.new.f1 > m.before.f1


def test_replay_is_measured_on_other_pictures(tmp_path):
    herd = drawn(tmp_path / "herd", 1)
    (learn,), (measure,) = replay.split([feed.Source.parse(f"{herd}@0.5")])
    assert learn.weight == 0.5 and len(learn.only) == 8 and len(measure.only) == 2
    clips = [{i.clip for i in s.images()} for s in (learn, measure)]
    assert not clips[0] & clips[1]
    with pytest.raises(coco.DataError, match="1 pictures: replay needs"):
        replay.split([feed.Source(drawn(tmp_path / "one", 1, 1))])


def test_the_ends_of_a_mixture():
    start, tuned = {"w": torch.zeros(3), "n": torch.tensor(1)}, {"w": torch.ones(3), "n": torch.tensor(7)}
    assert replay.mixed(start, tuned, 0.25)["w"].tolist() == [0.25] * 3
    assert replay.mixed(start, tuned, 1)["w"].tolist() == [1] * 3 and replay.mixed(start, tuned, 0)["n"] == 7
