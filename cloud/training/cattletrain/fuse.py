"""Fold batch normalisation into the convolutions before it, for inference."""

import copy

import torch
from torch import nn
from transformers.models.rt_detr_v2.modeling_rt_detr_v2 import (
    RTDetrV2ConvNormLayer,
    RTDetrV2FrozenBatchNorm2d,
    RTDetrV2RepVggBlock,
)

from .backbone import FROZEN_EPS, EfficientNetLiteBackbone, InvertedBottleneck


def fold(conv: nn.Conv2d, norm: nn.Module) -> nn.Conv2d:
    """One convolution that computes norm(conv(x)) in evaluation mode."""
    eps = FROZEN_EPS if isinstance(norm, RTDetrV2FrozenBatchNorm2d) else norm.eps
    scale = norm.weight / torch.sqrt(norm.running_var + eps)
    folded = nn.Conv2d(conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, conv.padding, conv.dilation, conv.groups)
    folded.weight.data = (conv.weight * scale[:, None, None, None]).detach().clone()
    bias = 0 if conv.bias is None else conv.bias * scale
    folded.bias.data = (norm.bias - norm.running_mean * scale + bias).detach().clone()
    return folded


def merge_branches(block: RTDetrV2RepVggBlock) -> nn.Module:
    """The 3x3 and 1x1 branches of a RepVGG block as one 3x3 convolution (Ding et al., CVPR 2021)."""
    wide, narrow = fold(block.conv1.conv, block.conv1.norm), fold(block.conv2.conv, block.conv2.norm)
    wide.weight.data += nn.functional.pad(narrow.weight.data, (1, 1, 1, 1))
    wide.bias.data += narrow.bias.data
    return nn.Sequential(wide, block.activation)


def fused(model: nn.Module) -> nn.Module:
    """A copy for evaluation, with folded normalisation and merged RepVGG blocks."""
    model = copy.deepcopy(model).eval()
    _fuse(model)
    return model


def fuse_backbone(model: nn.Module) -> None:
    """Folds the normalisation of a new model's backbone in place."""
    _fuse(model.model.backbone)


def _fuse(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, RTDetrV2RepVggBlock):
            setattr(module, name, merge_branches(child))
            continue
        if isinstance(child, RTDetrV2ConvNormLayer):
            child.conv, child.norm = fold(child.conv, child.norm), nn.Identity()
        elif isinstance(child, InvertedBottleneck) and isinstance(child._bn1, RTDetrV2FrozenBatchNorm2d):
            pairs = [("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")]
            if hasattr(child, "_expand_conv"):
                pairs.append(("_expand_conv", "_bn0"))
            for conv, norm in pairs:
                setattr(child, conv, fold(getattr(child, conv), getattr(child, norm)))
                setattr(child, norm, nn.Identity())
        elif isinstance(child, EfficientNetLiteBackbone) and isinstance(child._bn0, RTDetrV2FrozenBatchNorm2d):
            child._conv_stem, child._bn0 = fold(child._conv_stem, child._bn0), nn.Identity()
        elif isinstance(child, nn.Sequential) and len(child) == 2 and isinstance(child[1], nn.BatchNorm2d):
            child[0], child[1] = fold(child[0], child[1]), nn.Identity()
        _fuse(child)
