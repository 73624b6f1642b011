"""The detector: RT-DETR v2 of transformers over an EfficientNet-Lite0 backbone, small enough to ship."""

import torch
from torch import nn
from transformers import RTDetrV2Config, RTDetrV2ForObjectDetection

from . import backbone, fuse

LABELS = {0: "cattle", 1: "other animal"}
SIDE = 416  # pixels of a view
TILE = 480  # pixels of the frame in a view of the worker: wide enough for near animals between two tiles, narrow for far ones
MEAN, SPREAD = 127 / 255, 128 / 255  # of every colour, as the backbone was trained


def normalised(pixels: torch.Tensor) -> torch.Tensor:
    """Pictures with values 0..1 in the value range of the backbone."""
    return (pixels - MEAN) / SPREAD


def config(width: int = 96, queries: int = 150, layers: int = 3, depths=(1, 2, 2, 3, 3, 1)) -> RTDetrV2Config:
    """Configuration of the default detector: `width` channels in encoder and decoder, `queries` boxes per tile."""
    out = ["stage3", "stage5", "stage6"]
    channels = [backbone.STAGES[2].channels, backbone.STAGES[4].channels, backbone.STAGES[5].channels]
    return RTDetrV2Config(
        backbone_config=backbone.EfficientNetLiteConfig(depths=depths, out_features=out),
        freeze_backbone_batch_norms=True,
        encoder_in_channels=channels,
        encoder_hidden_dim=width,
        encoder_ffn_dim=4 * width,
        hidden_expansion=0.5,
        d_model=width,
        decoder_in_channels=[width] * 3,
        decoder_ffn_dim=4 * width,
        decoder_layers=layers,
        num_queries=queries,
        num_denoising=100,
        initializer_bias_prior_prob=0.01,
        id2label=LABELS,
        label2id={v: k for k, v in LABELS.items()},
    )


def initialise(model: RTDetrV2ForObjectDetection) -> None:
    """Initialises the weights of neck and decoder like RT-DETR.

    transformers initialises them only to load other weights: the factors of its
    normalisation are near 0, and with them a neck passes almost nothing on for
    tens of thousands of views.
    """
    kept = ("sampling_offsets", "attention_weights", "enc_score_head")
    for name, part in model.named_modules():
        if ".backbone." in name or "class_embed" in name or name.endswith(kept):
            continue
        if isinstance(part, nn.BatchNorm2d):
            nn.init.ones_(part.weight)
        elif isinstance(part, nn.Conv2d):
            part.reset_parameters()
        elif isinstance(part, nn.Linear) and part.weight.abs().max() > 0:  # the last layers of the box heads stay at 0
            nn.init.xavier_uniform_(part.weight)
    last = model.model.enc_bbox_head.layers[-1]
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)


def build(cfg: RTDetrV2Config, pretrained: bool = True) -> RTDetrV2ForObjectDetection:
    """A detector with random weights, and a backbone with those of ImageNet when `pretrained`.

    The normalisation of the backbone is folded into its convolutions, because training would freeze it.
    """
    model = RTDetrV2ForObjectDetection(cfg)
    initialise(model)
    if pretrained:
        body = model.model.backbone.model
        missing, unexpected = body.load_state_dict(backbone.imagenet_weights(cfg.backbone_config.depths), strict=False)
        unexpected = [k for k in unexpected if not k.endswith("num_batches_tracked")]
        if missing or unexpected:
            raise ValueError(f"backbone weights do not fit: missing {missing[:5]}, unexpected {unexpected[:5]}")
    fuse.fuse_backbone(model)
    return model
