"""Train a few steps, continue, export and fine-tune on drawn pictures."""

import dataclasses
import hashlib
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest
import torch

from cattletrain import augment, checkpoint, coco, export, feed, finetune, fuse, mixed, network, quantise, train, validate


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
    assert not any("_depthwise_conv" in k for k in moved), "depthwise kernels moved"
    return out


def test_a_stopped_run_continues(herd, trained):
    run = train.Run(settings(herd, trained, steps=5))
    assert run.step == 3 and run.optimizer.state_dict()["state"]
    run.loop()
    assert checkpoint.read(trained / train.LATEST)["step"] == 5


def test_checkpoints_can_be_kept(herd, tmp_path):
    """Each holds the weights of its own step, and the last one is there when the steps end with it."""
    train.Run(settings(herd, tmp_path / "run", validation=[], steps=4, keep_every=2)).loop()
    two, four = (checkpoint.read(tmp_path / "run" / train.KEPT.format(n)) for n in (2, 4))
    assert (two["step"], four["step"]) == (2, 4) and not (tmp_path / "run" / train.KEPT.format(3)).exists()
    assert any(not torch.equal(value, four["weights"][name]) for name, value in two["weights"].items())


def test_a_batch_is_learnt(herd, tmp_path):
    """Repeated training with one batch lowers every part of the loss, not only the sum."""
    run = train.Run(settings(herd, tmp_path / "run", steps=120, warmup=5, batch=4, rate=2e-3, backbone_rate=1e-3))
    batch = next(iter(feed.batches(run.settings.sources, augment.Recipe(side=64), 4, 1, 0)))
    losses = [run.train_step(*batch) for _ in range(120)]
    # Scores start at a hundredth, so their loss rises before it falls.
    for part, left in {"loss": 0.5, "loss_vfl": 0.5, "loss_bbox": 0.5, "loss_giou": 0.5, "dense": 0.8}.items():
        worst, last = max(step[part] for step in losses), np.mean([step[part] for step in losses[-3:]])
        assert last < left * worst, f"{part}: {worst:.3f} to {last:.3f}"
    pixels, labels = batch
    boxes = [label["boxes"].numpy() for label in labels]
    score = validate.score(fuse.fused(run.model), validate.Tiles(pixels, boxes, [np.zeros((0, 4))] * len(boxes)))
    assert score.f1 > 0.8, score


def test_frozen_layers_compute_the_same():
    """Pictures one after the other, without the gradients of the first layers."""
    body = network.build(network.config(width=32, queries=10, layers=2)).model.backbone.model
    x = torch.rand(3, 3, 96, 96)
    want = body.eval()(x).feature_maps
    body.freeze(4)
    got = body.train()(x).feature_maps
    assert len(got) == len(want) and all(torch.allclose(a, b, atol=1e-5) for a, b in zip(got, want, strict=True))
    assert got[0].requires_grad


def test_16_bits_are_exact_enough():
    """The maps of the default model agree with and without 16 bits, and its gradients have the same direction."""
    maps, gradients = [], []
    pixels = torch.from_numpy(np.random.default_rng(2).normal(size=(2, 3, 160, 160)).astype(np.float32))
    for half in (False, True):
        model, _ = checkpoint.model_of(Path(__file__).parents[1] / "default.pt")
        model.train()
        if half:
            mixed.use_bfloat16(model)
        out = model.model(pixel_values=pixels).encoder_last_hidden_state
        assert all(level.dtype == (torch.bfloat16 if half else torch.float32) for level in out)
        maps.append(torch.cat([level.detach().float().flatten() for level in out]))
        sum(level.float().square().mean() for level in out).backward()
        gradients.append(torch.cat([p.grad.flatten() for n, p in model.named_parameters() if ".encoder." in n and p.grad is not None]))
    agree = torch.nn.functional.cosine_similarity
    # 8 bits of mantissa over some twenty layers: a few hundredths of the length of the maps.
    assert agree(*maps, dim=0) > 0.997
    assert agree(*gradients, dim=0) > 0.97


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
        assert logits.shape == (count, 20, 2) and boxes.shape == (count, 20, 4)
    assert json.loads((tmp_path / "model/config.json").read_text())["id2label"] == {"0": "cattle", "1": "other animal"}
    names = {line.split("  ")[1] for line in (tmp_path / "model/SHA256SUMS").read_text().splitlines()}
    assert names == {"README.md", "cattlecounter.yaml", "config.json", "model.onnx", "preprocessor_config.json"}
    if not half:
        export.export(trained / train.BEST, tmp_path / "model", "second", side=64)  # replaces a model folder


def test_8_bits_have_similar_scores(herd, trained, tmp_path):
    export.export(trained / train.BEST, tmp_path / "model", "herd", side=64)
    quantise.quantise(tmp_path / "model", tmp_path / "eight", [feed.Source(herd)], side=64)
    assert {p.name for p in (tmp_path / "eight").iterdir()} == {p.name for p in (tmp_path / "model").iterdir()}
    listed = dict(line.split("  ")[::-1] for line in (tmp_path / "eight" / "SHA256SUMS").read_text().splitlines())
    assert listed["model.onnx"] == hashlib.sha256((tmp_path / "eight" / "model.onnx").read_bytes()).hexdigest()
    x = network.normalised(export.scene(3, 64)).numpy()
    answers = []
    for name in ("model", "eight"):
        session = onnxruntime.InferenceSession(str(tmp_path / name / "model.onnx"), providers=["CPUExecutionProvider"])
        answers.append(export.queries(*session.run(None, {"pixel_values": x}))[..., 0])
    assert answers[0].shape == answers[1].shape and 0 < np.abs(np.sort(answers[0]) - np.sort(answers[1])).max() < 0.1
    with pytest.raises(export.ExportError, match="exists already"):
        quantise.quantise(tmp_path / "model", tmp_path / "eight", [feed.Source(herd)], side=64)


def test_8_bits_of_no_network(herd, tmp_path, capsys):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "model.onnx").write_text("not onnx")
    assert quantise.main([str(tmp_path / "bad"), str(tmp_path / "eight"), "--data", str(herd), "--side", "64"]) == 1
    assert "bad: " in capsys.readouterr().err and not (tmp_path / "eight").exists()


def test_export_does_not_replace_other_folders(trained, tmp_path):
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters/a.txt").write_text("dear")
    with pytest.raises(export.ExportError, match="not a model folder"):
        export.export(trained / train.BEST, tmp_path / "letters", "x", side=64)
    assert (tmp_path / "letters/a.txt").exists()


def test_finetune_makes_a_model(herd, trained, tmp_path, capsys):
    code = finetune.finetune(herd, tmp_path / "own", settings(herd, tmp_path / "own.run", sources=[], start=trained / train.BEST, side=64), "own")
    assert isinstance(code, validate.Score) and (tmp_path / "own/model.onnx").stat().st_size > 10_000


def test_a_new_network_is_initialised():
    """The factors of normalisation are 1; the boxes of the first layer are those of the places, with scores near 0."""
    model = network.build(network.config(width=32, queries=10, layers=2))
    factors = [m.weight for n, m in model.named_modules() if isinstance(m, torch.nn.BatchNorm2d) and ".backbone." not in n]
    assert len(factors) > 20 and all((f == 1).all() for f in factors)
    assert model.model.enc_score_head.bias.sigmoid().tolist() == pytest.approx([0.01] * 2, rel=1e-3)
    assert model.model.decoder.class_embed[0].bias.sigmoid().tolist() == pytest.approx([0.01] * 2, rel=1e-3)
    assert not model.model.enc_bbox_head.layers[-1].weight.any()


def test_views_stay_within_the_picture(herd):
    """White pictures: pixels from outside of them are darker."""
    image, recipe = coco.load(herd).images[0], augment.Recipe(side=96, colour=0, blur=0, inside=1, turn=0.5)
    white, rng = np.full((240, 320, 3), 255, np.uint8), np.random.default_rng(4)
    outside = np.mean([np.mean(augment.view(white, image, recipe, rng).pixels < 250) for _ in range(50)])
    assert outside < 0.05


def test_finetune_refuses_changed_labels(herd, trained, tmp_path):
    copy = tmp_path / "herd"
    shutil.copytree(herd, copy)
    run = settings(copy, tmp_path / "run", sources=[], start=trained / train.BEST)
    finetune.finetune(copy, tmp_path / "own", run, "own")
    labels = json.loads((copy / "annotations.json").read_text())
    labels["annotations"].pop()
    (copy / "annotations.json").write_text(json.dumps(labels))
    with pytest.raises(coco.DataError, match="labels changed"):
        finetune.finetune(copy, tmp_path / "own", run, "own")


def test_held_back_pictures_have_animals(herd):
    images = coco.load(herd).images
    with_boxes = [i for i in images if len(i.boxes)]
    empty = [dataclasses.replace(images[7], clip=f"empty{n}") for n in range(9)]
    for seed in range(6):
        learn, choose = finetune.split(herd, [*with_boxes[:2], *empty], seed)
        assert all(any(i.path in s.only for i in with_boxes) for s in (learn, choose))
    with pytest.raises(coco.DataError, match="one picture only"):
        finetune.split(herd, [with_boxes[0], *empty], 1)


def test_a_picture_of_another_size(herd, tmp_path):
    copy = tmp_path / "herd"
    shutil.copytree(herd, copy)
    for path in (copy / "images").iterdir():
        cv2.imwrite(str(path), np.zeros((320, 240, 3), np.uint8))
    with pytest.raises(coco.DataError, match="is 240x320, its labels are for 320x240"):
        next(iter(feed.Views([feed.Source(copy)], augment.Recipe(side=64), 1)))


def test_finetune_keeps_clips_apart(herd):
    learn, choose = finetune.split(herd, coco.load(herd).images, 1)
    clips = [{i.clip for i in s.images()} for s in (learn, choose)]
    assert not clips[0] & clips[1] and len(learn.only) + len(choose.only) == 8


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        (b"", "cannot be read"),
        (b"PK\x03\x04 not a checkpoint", "cannot be read"),
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


def test_a_checkpoint_of_another_network(trained, tmp_path):
    state = checkpoint.read(trained / train.BEST)
    name = next(k for k in state["weights"] if k.endswith("enc_score_head.weight"))
    state["weights"][name] = torch.zeros(1, 7)
    checkpoint.save(tmp_path / "c.pt", state)
    with pytest.raises(checkpoint.CheckpointError, match=r"enc_score_head.weight is \[1, 7\], want \[2, 32\]"):
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
    """The middle of every whole box is dark: the boxes move with the pixels."""
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
    marks = validate.match(np.array([0.9, 0.8, 0.3]), np.array([[0.5, 0.5, 0.2, 0.2], [0.5, 0.5, 0.19, 0.2], [0.2, 0.2, 0.1, 0.1]]), true, np.zeros((0, 4)))
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
