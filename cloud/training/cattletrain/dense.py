"""A second head, only for training: it predicts a box at every place of the feature maps.

One-to-one matching trains a few places per step. This head uses several places
for each animal, so that backbone and neck learn faster (the one-to-many branch of Zhao
et al., "RT-DETRv3", WACV 2025, with the assignment of Feng et al., "TOOD",
ICCV 2021). It is not exported.
"""

import torch
import torch.nn.functional as F
from torch import nn
from transformers.loss.loss_for_object_detection import box_iou, generalized_box_iou

PLACES = 7  # largest number for an animal
SHARPNESS = 4  # power of the overlap in the choice of places


class DenseHead(nn.Module):
    """Score and box of every place of the neck's maps.

    forward: maps [N, width, H, W] of each stride; returns logits [N, T], boxes [N, T, 4] (corners) and centres [T, 2],
    all as shares of the view's side.
    """

    def __init__(self, width: int, strides: tuple[int, ...]):
        super().__init__()
        self.strides = strides
        self.hidden = nn.Conv2d(width, width, 1)
        self.out = nn.Conv2d(width, 5, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.constant_(self.out.bias, 0.5)
        nn.init.constant_(self.out.bias[:1], -4.6)  # a hundredth, because most places have no animal

    def forward(self, maps: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        logits, boxes, centres = [], [], []
        for stride, level in zip(self.strides, maps, strict=True):
            out = self.out(F.silu(self.hidden(level))).flatten(2).transpose(1, 2)
            height, width = level.shape[-2:]
            y, x = torch.meshgrid((torch.arange(height) + 0.5) / height, (torch.arange(width) + 0.5) / width, indexing="ij")
            centre = torch.stack([x, y], -1).reshape(-1, 2)
            reach = F.softplus(out[..., 1:]) * 2 * stride / (width * stride)
            boxes.append(torch.cat([centre - reach[..., :2], centre + reach[..., 2:]], -1))
            logits.append(out[..., 0])
            centres.append(centre)
        return torch.cat(logits, 1), torch.cat(boxes, 1), torch.cat(centres)


def loss(logits: torch.Tensor, boxes: torch.Tensor, centres: torch.Tensor, labels: list[dict]) -> torch.Tensor:
    """Score and box losses over all places, for boxes of the labels as centre and size."""
    wanted, pairs = torch.zeros_like(logits), []
    for n, label in enumerate(labels):
        half = label["boxes"][:, 2:] / 2
        corners = torch.cat([label["boxes"][:, :2] - half, label["boxes"][:, :2] + half], 1)
        place, animal, quality = assign(logits[n].detach().sigmoid(), boxes[n].detach(), centres, corners)
        wanted[n, place] = quality
        pairs.append((boxes[n, place], corners[animal], quality))
    total = wanted.sum().clamp(min=1)
    score = logits.detach().sigmoid()
    weight = torch.where(wanted > 0, wanted, 0.75 * score**2)
    result = F.binary_cross_entropy_with_logits(logits, wanted, weight=weight, reduction="sum")
    found, true, quality = (torch.cat(parts) for parts in zip(*pairs, strict=True))
    if len(found):
        apart = 1 - generalized_box_iou(found, true).diag()
        result = result + 2 * (apart * quality).sum() + 5 * (F.l1_loss(found, true, reduction="none").sum(1) * quality).sum()
    return result / total


def assign(score: torch.Tensor, boxes: torch.Tensor, centres: torch.Tensor, true: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """For the places of the animals: index, animal, and the wanted score."""
    none = torch.zeros(0, dtype=torch.int64)
    if not len(true):
        return none, none, torch.zeros(0)
    overlap = box_iou(true, boxes)[0].clamp(0, 1)
    inside = (centres > true[:, None, :2]).all(-1) & (centres < true[:, None, 2:]).all(-1)
    nearest = ((centres - (true[:, None, :2] + true[:, None, 2:]) / 2) ** 2).sum(-1).argmin(1)
    inside[torch.arange(len(true)), nearest] = True  # tiny animals may contain no centre
    metric = torch.where(inside, score.sqrt() * overlap**SHARPNESS + 1e-9, torch.zeros(()))
    value, place = metric.topk(min(PLACES, metric.shape[1]), 1)
    chosen = torch.zeros_like(metric).scatter_(1, place, (value > 0).float())
    held = torch.where(chosen > 0, overlap + 1e-6, torch.zeros(()))
    best, animal = held.max(0)
    index = torch.nonzero(best > 0).squeeze(1)
    animal = animal[index]
    peak = torch.where(chosen > 0, metric, torch.zeros(())).max(1).values
    ceiling = torch.where(chosen > 0, overlap, torch.zeros(())).max(1).values.clamp(min=0.05)
    return index, animal, metric[animal, index] / peak[animal].clamp(min=1e-9) * ceiling[animal]
