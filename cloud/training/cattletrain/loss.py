"""The training loss: Hungarian matching with a matchability-aware score loss.

Huang et al., "DEIM: DETR with Improved Matching for Fast Convergence", CVPR 2025,
equation 4: a matched box with a low overlap still has some weight. Small animals
need this; the varifocal loss gives such a box almost none.
"""

import torch
import torch.nn.functional as F
from transformers.image_transforms import center_to_corners_format
from transformers.loss.loss_for_object_detection import box_iou
from transformers.loss.loss_rt_detr import RTDetrLoss, _set_aux_loss

WEIGHT_POWER = 1.5
QUALITY_POWER = 1.0  # DEIM has 1.5, which lowers the scores of small animals: their boxes overlap less


class Loss(RTDetrLoss):
    """RT-DETR's loss with another loss of the scores."""

    def loss_labels_vfl(self, outputs, targets, indices, num_boxes, log=True):
        where = self._get_source_permutation_idx(indices)
        logits = outputs["logits"]
        boxes = torch.cat([t["boxes"][i] for t, (_, i) in zip(targets, indices, strict=True)])
        found = center_to_corners_format(outputs["pred_boxes"][where].detach())
        overlap = box_iou(found, center_to_corners_format(boxes))[0].diag().clamp(0, 1)
        kinds = torch.cat([t["class_labels"][i] for t, (_, i) in zip(targets, indices, strict=True)])
        quality = torch.zeros_like(logits)
        quality[(*where, kinds)] = overlap.to(logits.dtype) ** QUALITY_POWER
        matched = torch.zeros_like(logits)
        matched[(*where, kinds)] = 1
        score = logits.detach().sigmoid()
        weight = matched + (1 - matched) * score**WEIGHT_POWER
        loss = F.binary_cross_entropy_with_logits(logits, quality, weight=weight, reduction="sum")
        return {"loss_vfl": loss / num_boxes}


def training_loss(criterion: Loss, outputs, labels: list[dict]) -> tuple[torch.Tensor, dict[str, float]]:
    """The sum over layers and denoising groups, and the parts of the last layer by name.

    outputs: of RTDetrV2Model in training mode, called with `labels`;
    labels: class_labels int64 [n] and boxes float32 [n, 4] (centre, size) for each picture.
    """
    parts = criterion(arranged(outputs), labels)
    return sum(parts.values()), {k: float(v.detach()) for k, v in parts.items() if k in criterion.weight_dict}


def arranged(outputs) -> dict:
    """Model outputs in the form of the criterion: last layer, earlier layers, encoder, denoising."""
    logits, boxes, meta = outputs.intermediate_logits, outputs.intermediate_reference_points, outputs.denoising_meta_values
    arranged = {}
    if meta is not None:
        noisy_boxes, boxes = torch.split(boxes, meta["dn_num_split"], dim=2)
        noisy_logits, logits = torch.split(logits, meta["dn_num_split"], dim=2)
        arranged["dn_auxiliary_outputs"] = _set_aux_loss(noisy_logits.transpose(0, 1), noisy_boxes.transpose(0, 1))
        arranged["denoising_meta_values"] = meta
    early = _set_aux_loss(logits[:, :-1].transpose(0, 1), boxes[:, :-1].transpose(0, 1))
    early.extend(_set_aux_loss([outputs.enc_topk_logits], [outputs.enc_topk_bboxes]))
    return {"logits": logits[:, -1], "pred_boxes": boxes[:, -1], "auxiliary_outputs": early} | arranged
