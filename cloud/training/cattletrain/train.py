"""Train the detector on COCO folders. See `python -m cattletrain.train --help`."""

import argparse
import json
import math
import signal
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn
from transformers import RTDetrV2Config

from . import checkpoint, coco, dense, feed, fuse, memory, mixed, network, refit, validate
from .augment import Recipe
from .loss import Loss, training_loss

DENSE_WEIGHT = 2.0
LATEST, BEST, KEPT = "latest.pt", "best.pt", "step-{}.pt"


@dataclass(frozen=True)
class Settings:
    """The settings of one run. steps counts from the start of the run, over all its restarts."""

    sources: list[feed.Source]
    validation: list[feed.Source]
    out: Path
    start: Path | None = None
    steps: int = 20000
    minutes: float = math.inf
    batch: int = 5
    side: int = network.SIDE  # the side in the worker: boxes are shares of it
    rate: float = 5e-4
    backbone_rate: float = 1e-4
    warmup: int = 200
    average: float = 0.998
    save_every: int = 200
    check_every: int = 1000
    keep_every: int = 0  # 0: no
    seed: int = 1
    workers: int = 1
    width: int = 96
    layers: int = 3
    queries: int = 150
    learnt_queries: int = 150
    denoised: int = 40
    frozen_blocks: int = 4
    pretrained: bool = True


class Run:
    """A training run that can be stopped after any step and continued."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self.step, self.best = 0, -1.0
        out = settings.out
        out.mkdir(parents=True, exist_ok=True)
        if (out / LATEST).exists():
            self.model, state = checkpoint.model_of(out / LATEST)
        elif settings.start:
            state = checkpoint.read(settings.start)
            config, weights = refit.refit(state["config"], state["weights"], settings.layers)
            self.model, state = network.build(RTDetrV2Config.from_dict(config), pretrained=False), {}
            checkpoint.load_weights(self.model, weights, settings.start)
        else:
            torch.manual_seed(settings.seed)
            config = network.config(settings.width, settings.queries, settings.layers)
            self.model, state = network.build(config, settings.pretrained), {}
        self.config = json.loads(self.model.config.to_json_string(use_diff=False))
        # Attention takes quadratic time in the queries; a view has fewer animals than the largest tile of the worker.
        self.model.config.num_queries = min(self.model.config.num_queries, settings.learnt_queries)
        self.model.config.num_denoising = settings.denoised
        self.averaged = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        self.freeze()
        self.model = self.model.to(memory_format=torch.channels_last)
        if mixed.supported():
            mixed.use_bfloat16(self.model)
        self.dense = dense.DenseHead(self.model.config.encoder_hidden_dim, tuple(self.model.config.feat_strides))
        self.optimizer = self._optimizer()
        if "optimizer" in state:
            self.resume(state)
        self.criterion = Loss(self.model.config)

    def freeze(self) -> None:
        """Freezes the first layers with their ImageNet weights: they take most time and learn least."""
        self.model.model.backbone.model.freeze(self.settings.frozen_blocks)
        mixed.freeze_depthwise(self.model.model.backbone)

    def _optimizer(self) -> torch.optim.Optimizer:
        groups = {"backbone": [], "plain": [], "decayed": []}
        for name, p in self.model.named_parameters():
            if p.requires_grad:
                kind = "backbone" if ".backbone." in name else "plain" if p.ndim < 2 else "decayed"
                groups[kind].append(p)
        groups["plain"].extend(self.dense.parameters())
        s = self.settings
        return torch.optim.AdamW(
            [
                {"params": groups["backbone"], "peak": s.backbone_rate, "weight_decay": 1e-4},
                {"params": groups["plain"], "peak": s.rate, "weight_decay": 0.0},
                {"params": groups["decayed"], "peak": s.rate, "weight_decay": 1e-4},
            ],
            lr=s.rate,
        )

    def resume(self, state: dict) -> None:
        self.step, self.best = state["step"], state["best"]
        self.averaged = {k: v.clone() for k, v in state["weights"].items()}
        checkpoint.load_weights(self.model, state["live"], self.settings.out / LATEST)
        self.dense.load_state_dict(state["dense"])
        wanted = [(g["peak"], g["weight_decay"]) for g in self.optimizer.param_groups]
        self.optimizer.load_state_dict(state["optimizer"])
        for group, (peak, decay) in zip(self.optimizer.param_groups, wanted, strict=True):
            group["peak"], group["weight_decay"] = peak, decay  # of this start, not of an earlier one
        if (best := self.settings.out / BEST).exists():  # may be newer than the other files
            self.best = max(self.best, checkpoint.read(best).get("best", -1.0))

    def save(self, name: str) -> None:
        plain = {"config": self.config, "weights": self.averaged, "step": self.step, "best": self.best}
        if name == LATEST:
            plain |= {"live": self.model.state_dict(), "dense": self.dense.state_dict(), "optimizer": self.optimizer.state_dict()}
        checkpoint.save(self.settings.out / name, plain)

    def rate(self) -> float:
        """Share of the peak rate: linear warm-up, then a cosine down to a hundredth."""
        s = self.settings
        if self.step < s.warmup:
            return (self.step + 1) / s.warmup
        way = (self.step - s.warmup) / max(1, s.steps - s.warmup)
        return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, way)))

    def train_step(self, pixels: torch.Tensor, labels: list[dict]) -> dict[str, float]:
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * self.rate()
        self.model.train()
        x = (pixels.float() / 255).contiguous(memory_format=torch.channels_last)
        outputs = self.model.model(pixel_values=network.normalised(x), labels=labels)
        loss, parts = training_loss(self.criterion, outputs, labels)
        parts["dense"] = dense.loss(*self.dense([level.float() for level in outputs.encoder_last_hidden_state]), labels)
        loss = loss + DENSE_WEIGHT * parts["dense"]
        if not torch.isfinite(loss):
            raise RuntimeError(f"step {self.step}: the loss is {loss.item()}; lower the rate")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_([p for g in self.optimizer.param_groups for p in g["params"]], 1.0, error_if_nonfinite=True)
        self.optimizer.step()
        self.step += 1
        keep = min(self.settings.average, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for name, value in self.model.state_dict().items():
                if value.is_floating_point():
                    self.averaged[name].lerp_(value, 1 - keep)
                else:
                    self.averaged[name].copy_(value)
        return {"loss": float(loss.detach())} | {k: float(v) for k, v in parts.items()}

    def evaluation_model(self) -> nn.Module:
        """The averaged weights, folded for inference."""
        plain = network.build(RTDetrV2Config.from_dict(self.config), pretrained=False)
        checkpoint.load_weights(plain, self.averaged, self.settings.out)
        return fuse.fused(plain)

    def check(self, tiles: validate.Tiles | None) -> None:
        if tiles is None:
            self.save(BEST)
            return
        score = validate.score(self.evaluation_model(), tiles)
        print(f"step {self.step}: validation {score}", flush=True)
        if score.f1 > self.best:
            self.best = score.f1
            self.save(BEST)

    def loop(self) -> None:
        """Trains until the last step, the end of the minutes, or SIGTERM or SIGINT."""
        s, stop = self.settings, []
        for sig in (signal.SIGTERM, signal.SIGINT):
            signal.signal(sig, lambda number, _: stop.append(number))
        tiles = validate.tiles(s.validation, s.side) if s.validation else None
        loader = feed.batches(s.sources, replace(Recipe(), side=s.side), s.batch, s.seed + self.step, s.workers)
        began, seen, sums = time.monotonic(), 0, {}
        for pixels, labels in loader:
            if self.step >= s.steps or stop or time.monotonic() - began > 60 * s.minutes:
                break
            for name, value in self.train_step(pixels, labels).items():
                sums[name] = sums.get(name, 0.0) + value
            seen += 1
            if self.step % 50 == 0:
                means = ", ".join(f"{k.removeprefix('loss_')} {v / seen:.3f}" for k, v in sums.items())
                print(f"step {self.step}/{s.steps}: {means}, {s.batch * seen / (time.monotonic() - began):.1f} views/s", flush=True)
                began, seen, sums, s = self._next_window(began, s)
            if self.step % s.check_every == 0:
                self.check(tiles)
            keep = s.keep_every and self.step % s.keep_every == 0
            if keep:  # before LATEST: a continued run begins after it
                self.save(KEPT.format(self.step))
            if keep or self.step % s.save_every == 0:
                self.save(LATEST)
        self.check(tiles)
        self.save(LATEST)

    @staticmethod
    def _next_window(began: float, s: Settings) -> tuple[float, int, dict, Settings]:
        """Starts a new window for the printed means, without the time of the evaluation."""
        now = time.monotonic()
        return now, 0, {}, replace(s, minutes=s.minutes - (now - began) / 60)


def parse(argv: list[str]) -> Settings:
    p = argparse.ArgumentParser(prog="cattletrain.train", description=__doc__)
    folder = {"action": "append", "type": feed.Source.parse}
    p.add_argument("--data", required=True, metavar="FOLDER[@WEIGHT][#CLIPS]", help="COCO folder for training; several times", **folder)
    p.add_argument("--validation", default=[], metavar="FOLDER[#CLIPS]", help="COCO folder to choose the best checkpoint by", **folder)
    p.add_argument("--out", required=True, type=Path, help="folder of the run; a run with a checkpoint continues")
    p.add_argument("--start", type=Path, help="checkpoint with the first weights of a new run")
    for name, kind, text in (
        ("steps", int, "length of the run"),
        ("minutes", float, "stop after so long; the run can be taken up again"),
        ("batch", int, "views a step"),
        ("side", int, "pixels of a view, a multiple of 32; the model is good for tiles of this side only"),
        ("rate", float, "peak learning rate"),
        ("backbone-rate", float, "peak learning rate of the backbone"),
        ("seed", int, "of weights and views"),
        ("workers", int, "processes that make views"),
        ("check-every", int, "steps between validations"),
        ("save-every", int, "steps between checkpoints"),
        ("keep-every", int, "steps between checkpoints that stay, each in a file step-N.pt; 0 for none"),
        ("warmup", int, "steps until the peak rate"),
        ("width", int, "channels of encoder and decoder of a new network"),
        ("layers", int, "decoder layers of a new network; a start with more loses its last ones"),
        ("learnt-queries", int, "boxes per view while learning"),
        ("denoised", int, "noisy boxes per view that are to be mended while learning"),
        ("queries", int, "boxes per tile of a new network"),
    ):
        p.add_argument(f"--{name}", type=kind, help=text, default=getattr(Settings, name.replace("-", "_")))
    p.add_argument("--random", dest="pretrained", action="store_false", help="start without the ImageNet weights")
    a = vars(p.parse_args(argv))
    a["sources"] = a.pop("data")
    if a["side"] % 32 or a["side"] < 64:
        p.error("--side must be a multiple of 32, at least 64")
    return Settings(**a)


def main(argv: list[str]) -> int:
    settings = parse(argv)
    memory.keep_freed_pages(argv, "cattletrain.train")
    try:
        Run(settings).loop()
    except (coco.DataError, checkpoint.CheckpointError, ValueError, RuntimeError, OSError) as e:
        print(f"train: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
