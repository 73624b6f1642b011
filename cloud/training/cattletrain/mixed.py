"""What makes a training step on a CPU cheap: 16 bits where they are exact enough, and kernels that stay."""

import functools

import torch
from torch import nn


def supported() -> bool:
    """Whether this processor multiplies numbers of 16 bits (bfloat16); others would only imitate it, slowly."""
    can = torch.cpu.get_capabilities()
    return bool(can.get("avx512_bf16") or can.get("amx_bf16") or can.get("arm_bf16"))


def half(model: nn.Module) -> None:
    """From here on backbone, neck and value projections of an RT-DETR that learns compute with bfloat16.

    Weights, sums and all else keep 32 bits.
    """
    inner = model.model
    for part in (inner.backbone, *inner.encoder_input_proj, inner.encoder):
        part.forward = _autocast(part.forward)
    for part in (*inner.decoder_input_proj, *(layer.encoder_attn.value_proj for layer in inner.decoder.layers)):
        part.forward = _autocast(part.forward)
        part.register_forward_hook(lambda _module, _args, out: out.float())
    for attention in inner.encoder.aifi:  # heads this narrow are slower with 16 bits
        attention.forward = _plain(attention.forward)


def _autocast(forward):
    @functools.wraps(forward)
    def mixed(*args, **kwargs):
        with torch.autocast("cpu", torch.bfloat16):
            return forward(*args, **kwargs)

    return mixed


def _plain(forward):
    @functools.wraps(forward)
    def plain(hidden_states, **kwargs):
        with torch.autocast("cpu", enabled=False):
            return forward(hidden_states.float(), **kwargs)

    return plain


def keep_depthwise(backbone: nn.Module) -> None:
    """The depthwise convolutions of a backbone keep their weights.

    The gradient of such a kernel takes fifteen times as long as its forward pass.
    """
    for part in backbone.modules():
        if isinstance(part, nn.Conv2d) and part.groups > 1:
            part.requires_grad_(False)  # the bias too: its gradient alone costs what both do
