"""Train a few steps, go on, export, fine-tune: the whole way on drawn pictures."""

import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest
import torch

from cattletrain import augment, checkpoint, coco, export, feed, finetune, fuse, network, train, validate


@pytest.fixture(scope="module")
def herd(tmp_path_factory) -> Path:
    """A COCO folder of eight pictures in two clips: dark ovals on noise, one picture empty."""
    root, rng, images = tmp_path_factory.mktemp("herd"), np.random.default_rng(5), []
    (root / "images").mkdir()
    for n in range(8):
        picture = rng.integers(120, 170, (240, 320, 3), dtype=np.uint8)
        boxes = []
        for _ in range(0 if n == 7 else 5):
            (x, y), (w, h) = rng.uniform(40, 200, 2), rng.uniform(12, 30, 2)
            cv2.ellipse(picture, ((x, y), (w, h), 0), (20, 25, 30), -1)
            boxes.append([x - w / 2, y - h / 2, x + w / 2, y + h / 2])
        path = root / "images" / f"{n}.png"
        cv2.imwrite(str(path), picture)
        images.append(coco.Image(path, 320, 240, np.array(boxes, np.float32).reshape(-1, 4), clip=f"clip{n % 2}"))
    coco.save(root, images)
    return root


def settings(herd: Path, out: Path, **changes) -> train.Settings:
    s = train.Settings(
        sources=[feed.Source(herd)], validation=[feed.Source(herd)], out=out, steps=3, batch=2, side=64, warmup=1,
        save_every=2, check_every=2, workers=0, width=32, layers=2, queries=20,
    )  # fmt: skip
    return dataclasses.replace(s, **changes)


@pytest.fixture(scope="module")
def trained(herd, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    run = train.Run(settings(herd, out))
    before = {k: v.clone() for k, v in run.model.state_dict().items()}
    run.loop()
    after = run.model.state_dict()
    moved = [k for k in before if before[k].is_floating_point() and not torch.equal(before[k], after[k])]
    assert any("decoder" in k for k in moved) and any("model._blocks.10" in k for k in moved)
    assert not any("model._blocks.0." in k or "_conv_stem" in k for k in moved), "frozen layers moved"
    return out


def test_a_run_goes_on_where_it_stopped(herd, trained):
    run = train.Run(settings(herd, trained, steps=5))
    assert run.step == 3 and run.optimizer.state_dict()["state"]
    run.loop()
    assert checkpoint.read(trained / train.LATEST)["step"] == 5


def test_a_batch_is_learnt(herd, tmp_path):
    """Seen again and again, a batch's boxes and scores come right: every part of the loss falls, not the sum alone."""
    run = train.Run(settings(herd, tmp_path / "run", steps=120, warmup=5, batch=4, rate=2e-3, backbone_rate=1e-3))
    batch = next(iter(feed.batches(run.settings.sources, augment.Recipe(side=64), 4, 1, 0)))
    losses = [run.train_step(*batch) for _ in range(120)]
    for part, left in {"loss": 0.5, "loss_vfl": 0.5, "loss_bbox": 0.5, "loss_giou": 0.5, "dense": 0.8}.items():
        first, last = (np.mean([step[part] for step in some]) for some in (losses[:3], losses[-3:]))
        assert last < left * first, f"{part}: {first:.3f} to {last:.3f}"


def test_folding_changes_nothing():
    model = network.build(network.config(width=32, queries=10, layers=2)).eval()
    for name, buffer in model.named_buffers():
        if "running" in name:
            torch.nn.init.uniform_(buffer, 0.5, 1.5)
    x = torch.rand(1, 3, 96, 96)
    with torch.inference_mode():
        a, b = model.model(pixel_values=x), fuse.fused(model).model(pixel_values=x)
    assert torch.allclose(a.enc_outputs_class, b.enc_outputs_class, atol=1e-4)


@pytest.mark.parametrize("half", [True, False])
def test_an_exported_folder_computes_the_same(trained, tmp_path, half):
    worst = export.export(trained / train.BEST, tmp_path / "model", "herd", side=64, half=half)
    assert worst < (0.02 if half else 2e-3)
    session = onnxruntime.InferenceSession(str(tmp_path / "model/model.onnx"), providers=["CPUExecutionProvider"])
    for count in (1, 4):
        logits, boxes = session.run(None, {"pixel_values": np.zeros((count, 3, 64, 64), np.float32)})
        assert logits.shape == (count, 20, 1) and boxes.shape == (count, 20, 4)
    assert json.loads((tmp_path / "model/config.json").read_text())["id2label"] == {"0": "cattle"}
    names = {line.split("  ")[1] for line in (tmp_path / "model/SHA256SUMS").read_text().splitlines()}
    assert names == {"README.md", "cattlecounter.yaml", "config.json", "model.onnx", "preprocessor_config.json"}
    if not half:
        export.export(trained / train.BEST, tmp_path / "model", "again", side=64)  # over a model folder


def test_export_spares_foreign_folders(trained, tmp_path):
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters/a.txt").write_text("dear")
    with pytest.raises(export.ExportError, match="not a model folder"):
        export.export(trained / train.BEST, tmp_path / "letters", "x", side=64)
    assert (tmp_path / "letters/a.txt").exists()


def test_finetune_makes_a_model(herd, trained, tmp_path, capsys):
    code = finetune.finetune(herd, tmp_path / "own", settings(herd, tmp_path / "own.run", sources=[], start=trained / train.BEST, side=64), "own")
    assert isinstance(code, validate.Score) and (tmp_path / "own/model.onnx").stat().st_size > 10_000


def test_finetune_keeps_clips_apart(herd):
    learn, choose = finetune.split(herd, coco.load(herd).images, 1)
    clips = [{i.clip for i in s.images()} for s in (learn, choose)]
    assert not clips[0] & clips[1] and len(learn.only) + len(choose.only) == 8


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        (b"", "not readable"),
        (b"PK\x03\x04 not a checkpoint", "not readable"),
        ({"form": 1, "weights": {}}, "not a checkpoint of this program"),
        ({"form": 99, "weights": {}, "config": {}}, "not a checkpoint of this program"),
        ({"form": 1, "weights": {}, "config": {"d_model": "wide"}}, "configuration"),
    ],
)
def test_bad_checkpoints(tmp_path, content, message):
    path = tmp_path / "c.pt"
    if isinstance(content, dict):
        torch.save(content, path)
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(checkpoint.CheckpointError, match=message):
        checkpoint.model_of(path)


def test_a_checkpoint_of_another_shape(trained, tmp_path):
    state = checkpoint.read(trained / train.BEST)
    name = next(k for k in state["weights"] if k.endswith("enc_score_head.weight"))
    state["weights"][name] = torch.zeros(1, 7)
    checkpoint.save(tmp_path / "c.pt", state)
    with pytest.raises(checkpoint.CheckpointError, match=r"enc_score_head.weight is \[1, 7\], wanted \[1, 32\]"):
        checkpoint.model_of(tmp_path / "c.pt")


def test_a_slim_checkpoint_starts_a_run(herd, trained, tmp_path):
    checkpoint.slim(trained / train.BEST, tmp_path / "slim.pt")
    assert (tmp_path / "slim.pt").stat().st_size < 0.6 * (trained / train.BEST).stat().st_size
    run = train.Run(settings(herd, tmp_path / "run", start=tmp_path / "slim.pt"))
    want = checkpoint.read(trained / train.BEST)["weights"]
    assert run.step == 0 and all(torch.allclose(v.float(), want[k].float(), atol=2e-2, rtol=2e-3) for k, v in run.averaged.items())


def test_code_in_a_checkpoint_does_not_run(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "boom",))

    torch.save({"form": 1, "config": {}, "weights": Bomb()}, tmp_path / "c.pt")
    with pytest.raises(checkpoint.CheckpointError):
        checkpoint.read(tmp_path / "c.pt")
    assert not (tmp_path / "boom").exists()


def test_views_keep_boxes_on_animals(herd):
    """The middle of every whole box is dark: the boxes moved with the pixels."""
    views = iter(feed.Views([feed.Source(herd)], augment.Recipe(side=128, colour=0, blur=0), 3))
    checked = 0
    for _ in range(60):
        v = next(views)
        for cx, cy, w, h in v.boxes * 128:
            if min(cx - w / 2, cy - h / 2) > 1 and max(cx + w / 2, cy + h / 2) < 127:
                assert v.pixels[int(cy), int(cx)].max() < 110
                checked += 1
    assert checked > 40


def test_scores_of_known_detections():
    true = np.array([[0.5, 0.5, 0.2, 0.2], [0.2, 0.2, 0.1, 0.1]])
    marks = validate.match(np.array([0.9, 0.8, 0.3]), np.array([[0.5, 0.5, 0.2, 0.2], [0.5, 0.5, 0.19, 0.2], [0.2, 0.2, 0.1, 0.1]]), true)
    assert marks == [(0.9, True), (0.8, False), (0.3, True)]
    score = validate.best(marks, 2)
    assert (score.recall, round(score.precision, 3), score.threshold) == (1.0, 0.667, 0.3)


@pytest.mark.parametrize(("text", "want"), [("a", ("a", 1.0, ())), ("a@0.5#x,y", ("a", 0.5, ("x", "y"))), ("a#x", ("a", 1.0, ("x",)))])
def test_sources(text, want):
    s = feed.Source.parse(text)
    assert (str(s.folder), s.weight, s.clips) == want


def test_bad_sources(herd):
    with pytest.raises(ValueError, match="above 0"):
        feed.Source.parse("a@0")
    with pytest.raises(coco.DataError, match="no picture of the clips"):
        feed.Source.parse(f"{herd}#nowhere").images()
