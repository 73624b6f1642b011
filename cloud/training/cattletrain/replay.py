"""Fine-tuning without forgetting.

Two things hold what the start of a run knows. Some pictures of other herds are learnt along with the new ones
("replay"). And the new model is the best mixture of the weights before and after: the straight way between them
loses little of either (Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022). A share of the replay is
not learnt, so that it can tell what was lost.
"""

from dataclasses import dataclass
from pathlib import Path

import torch

from . import checkpoint, coco, feed, fuse, validate

SHARES = (1.0, 0.8, 0.6, 0.4, 0.2, 0.0)  # of the new weights in a mixture
MOST_LOST = 0.01  # F1 on the replay that a mixture may lose against the start
HELD_BACK = 5  # one picture of the replay in so many


@dataclass(frozen=True)
class Mixture:
    """share: of the new weights; new and old: scores on the held-back pictures and on the replay; before: of the start on the replay."""

    share: float
    new: validate.Score
    old: validate.Score
    before: validate.Score


def split(sources: list[feed.Source]) -> tuple[list[feed.Source], list[feed.Source]]:
    """Replay to learn, and replay to measure by: other clips where there are several, otherwise other pictures.

    Raises coco.DataError for a folder with too few pictures.
    """
    learn, measure = [], []
    for source in sources:
        images = source.images()
        groups: dict[str, list[coco.Image]] = {}
        for image in images:
            groups.setdefault(image.clip, []).append(image)
        parts = list(groups.values()) if len(groups) >= HELD_BACK else [[i] for i in images]
        if len(parts) < 2:
            raise coco.DataError(source.folder, [f"{len(images)} pictures: replay needs one to learn and one to measure by"])
        held = [i.path for k, part in enumerate(parts) if k % HELD_BACK == HELD_BACK // 2 or (len(parts) < HELD_BACK and k == 0) for i in part]
        rest = [i.path for i in images if i.path not in set(held)]
        learn.append(feed.Source(source.folder, source.weight, source.clips, tuple(rest)))
        measure.append(feed.Source(source.folder, source.weight, source.clips, tuple(held)))
    return learn, measure


def mixed(start: dict[str, torch.Tensor], tuned: dict[str, torch.Tensor], share: float) -> dict[str, torch.Tensor]:
    """Weights on the way from `start` (share 0) to `tuned` (share 1). Both are of one network."""
    return {k: torch.lerp(start[k].float(), v.float(), share) if v.is_floating_point() else v for k, v in tuned.items()}


def choose(start: dict[str, torch.Tensor], tuned: Path, target: Path, held: validate.Tiles, old: validate.Tiles) -> Mixture:
    """Writes the best mixture as a checkpoint to `target`.

    It is the one with the best F1 on the held-back pictures among those that lose at most MOST_LOST on the replay; of
    equal ones the one that is nearer to the start. start: weights for the network of the checkpoint `tuned`.
    Raises checkpoint.CheckpointError.
    """
    model, state = checkpoint.model_of(tuned)

    def scores(share: float) -> tuple[validate.Score, validate.Score, dict]:
        weights = mixed(start, state["weights"], share)
        checkpoint.load_weights(model, weights, tuned)
        ready = fuse.fused(model)
        return validate.score(ready, held), validate.score(ready, old), weights

    new, before, weights = scores(0.0)
    best, kept = Mixture(0.0, new, before, before), weights
    for share in sorted(SHARES)[1:]:
        new, lost, weights = scores(share)
        print(f"share {share:.1f} of the new weights: held back {new}; replay {lost}", flush=True)
        if lost.f1 >= before.f1 - MOST_LOST and new.f1 > best.new.f1:
            best, kept = Mixture(share, new, lost, before), weights
    checkpoint.save(target, {"config": state["config"], "weights": kept, "step": state.get("step", 0)})
    return best
