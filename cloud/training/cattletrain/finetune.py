"""From pictures of your own herd to a model for the worker.

`python -m cattletrain.finetune COCO_FOLDER MODEL_FOLDER` continues the
checkpoint of the default model. A fifth of the clips (of the pictures, with only
one clip) is held back to choose the best step and the threshold. With --replay
the new model keeps what the old one knows, see replay.py.
"""

import argparse
import hashlib
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from . import checkpoint, coco, export, feed, fuse, memory, network, refit, replay, train, validate

START = Path(__file__).resolve().parent.parent / "default.pt"
DEFAULT = START.parent.parent / "model" / "default"  # the model folder that START belongs to
HELD_BACK = 5  # one clip or picture in so many is held back
LEAST_PICTURES = 2
MIXED = "mixed.pt"  # in the folder of the run
HELD = "held-back.txt"  # the clips that were not learnt, one a line


def split(root: Path, images: list[coco.Image], seed: int) -> tuple[feed.Source, feed.Source]:
    """Pictures to train with and pictures to choose by: no clip in both, unless there is only one.

    Raises coco.DataError when there are too few.
    """
    if len(images) < LEAST_PICTURES or not any(len(i.boxes) for i in images):
        raise coco.DataError(root, [f"{len(images)} pictures, {sum(len(i.boxes) for i in images)} boxes: want at least {LEAST_PICTURES} pictures and a box"])
    groups: dict[object, list[coco.Image]] = {}
    for image in images:
        groups.setdefault(image.clip or image.path, []).append(image)
    parts = list(groups.values())
    if sum(map(shows, parts)) < 2:
        parts = [[i] for i in images]
    if sum(map(shows, parts)) < 2:
        raise coco.DataError(root, ["boxes in one picture only; want boxes in two, one to train with and one to choose by"])
    order = np.random.default_rng(seed).permutation(len(parts)).tolist()
    first, second, *_ = (k for k in order if shows(parts[k]))
    held = {first} | set([k for k in order if k not in (first, second)][: len(parts) // HELD_BACK - 1])
    learn = [i for k, part in enumerate(parts) if k not in held for i in part]
    choose = [i for k in sorted(held) for i in parts[k]]
    return feed.Source(root, only=tuple(i.path for i in learn)), feed.Source(root, only=tuple(i.path for i in choose))


def shows(images: list[coco.Image]) -> bool:
    """Whether a picture has a labelled animal."""
    return any(len(i.boxes) for i in images)


def same_data(root: Path, out: Path) -> None:
    """Checks that a continued run has the labels of its start. Raises coco.DataError."""
    now, note = hashlib.sha256((root / coco.ANNOTATIONS).read_bytes()).hexdigest(), out / "data.sha256"
    if (out / train.LATEST).exists() and note.exists() and note.read_text() != now:
        raise coco.DataError(root, [f"the labels changed since the run in {out} began; remove that folder, or choose another one with --run"])
    out.mkdir(parents=True, exist_ok=True)
    note.write_text(now)


def origin(start: Path | None) -> str:
    """The start of a run for the model card: the default network by its SHA-256, or else the checkpoint by that."""
    if start is None:
        return ""
    if start.resolve() == START and (DEFAULT / export.NETWORK).is_file():
        return "default@" + hashlib.sha256((DEFAULT / export.NETWORK).read_bytes()).hexdigest()
    return start.stem + "@" + hashlib.sha256(start.read_bytes()).hexdigest()


def finetune(root: Path, target: Path, settings: train.Settings, name: str, again: list[feed.Source] | None = None) -> validate.Score:
    """Trains, exports the best checkpoint to `target` and returns its score on the held-back pictures.

    settings: its sources are used for training too; validation is set here. again: replay; with it the model is the best
    mixture of the weights before and after. Raises the errors of train, replay and export.
    """
    images = coco.load(root).images
    learn, choose = split(root, images, settings.seed)
    relearn, measure = replay.split(again or [])
    same_data(root, settings.out)
    settings = replace(settings, sources=[learn, *settings.sources, *relearn], validation=[choose])
    run = train.Run(settings)
    run.loop()
    held, best, note = validate.tiles([choose], settings.side), settings.out / train.BEST, ""
    if measure and settings.start:
        start = checkpoint.read(settings.start)
        _, weights = refit.refit(start["config"], start["weights"], settings.layers)
        mixture = replay.choose(weights, best, settings.out / MIXED, held, validate.tiles(measure, settings.side))
        best, score = settings.out / MIXED, mixture.new
        note = f"On tiles of the replay: before {mixture.before}; now {mixture.old}. Share of the new weights: {mixture.share:g}.\n"
        if not mixture.share:
            print("finetune: no mixture is better on the held-back pictures without a loss on the replay; the model is that of the start", file=sys.stderr)
    else:
        model, _ = checkpoint.model_of(best)
        score = validate.score(fuse.fused(model), held)
    threshold = round(min(max(score.threshold, 0.1), 0.9), 2)
    card = (
        f"# {name}\n\nFine-tuned from {settings.start.stem if settings.start else 'nothing'} on {len(images)} pictures with "
        f"{sum(len(i.boxes) for i in images)} boxes of {root.name}.\nOn tiles of the held-back pictures: {score}.\n{note}"
    )
    tile = settings.side * network.TILE // network.SIDE
    export.export(best, target, name, side=settings.side, threshold=threshold, card=card, tile=tile, tuned_from=origin(settings.start))
    (settings.out / HELD).write_text("".join(f"{c}\n" for c in sorted({i.clip for i in choose.images()})))
    return score


def main(argv: list[str]) -> int:
    p = argparse.ArgumentParser(prog="cattletrain.finetune", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("data", type=Path, help="COCO folder: annotations.json and images/")
    p.add_argument("model", type=Path, help="model folder to write")
    p.add_argument("--name", help="name in results; the folder's by default")
    p.add_argument("--start", type=Path, default=START, help="checkpoint to continue")
    also = "another COCO folder to learn from, so that other herds are not forgotten"
    p.add_argument("--also", action="append", default=[], type=feed.Source.parse, metavar="FOLDER[@WEIGHT]", help=also)
    text = "COCO folder of other herds, such as rendered ones: some is learnt too, the rest measures what is forgotten; several times"
    p.add_argument("--replay", action="append", default=[], type=feed.Source.parse, metavar="FOLDER[@WEIGHT]", help=text)
    p.add_argument("--run", type=Path, help="folder of checkpoints; MODEL.run by default; a stopped run continues")
    p.add_argument("--steps", type=int, default=1500)
    p.add_argument("--minutes", type=float, default=train.Settings.minutes)
    p.add_argument("--batch", type=int, default=5)
    p.add_argument("--check-every", type=int, default=100)
    a = p.parse_args(argv)
    memory.keep_freed_pages(argv, "cattletrain.finetune")
    settings = train.Settings(
        sources=a.also, validation=[], out=a.run or a.model.with_name(a.model.name + ".run"), start=a.start, steps=a.steps, minutes=a.minutes,
        batch=a.batch, rate=2e-4, backbone_rate=5e-5, warmup=50, check_every=a.check_every, average=0.99,
    )  # fmt: skip
    try:
        score = finetune(a.data, a.model, settings, a.name or a.model.name, a.replay)
    except (coco.DataError, checkpoint.CheckpointError, export.ExportError, ValueError, RuntimeError, OSError) as e:
        print(f"finetune: {e}", file=sys.stderr)
        return 1
    print(f"{a.model}: on the held-back pictures {score}; to try it: worker detect --model {a.model} --images … --out -")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
