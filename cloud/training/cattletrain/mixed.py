"""Cheap training steps on a CPU: 16 bits where they are exact enough, and frozen kernels."""

import functools

import torch
from torch import nn


def supported() -> bool:
    """Whether this processor multiplies bfloat16 numbers; other processors emulate it slowly."""
    can = torch.cpu.get_capabilities()
    return bool(can.get("avx512_bf16") or can.get("amx_bf16") or can.get("arm_bf16"))


def use_bfloat16(model: nn.Module) -> None:
    """Makes backbone, neck and value projections of an RT-DETR in training compute with bfloat16.

    Weights, sums and all other parts use 32 bits.
    """
    inner = model.model
    for part in (inner.backbone, *inner.encoder_input_proj, inner.encoder):
        part.forward = _autocast(part.forward)
    for part in (*inner.decoder_input_proj, *(layer.encoder_attn.value_proj for layer in inner.decoder.layers)):
        part.forward = _autocast(part.forward)
        part.register_forward_hook(lambda _module, _args, out: out.float())
    for attention in inner.encoder.aifi:  # such narrow heads are slower with 16 bits
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


def freeze_depthwise(backbone: nn.Module) -> None:
    """Freezes the depthwise convolutions of a backbone.

    The gradient of such a kernel takes fifteen times as long as its forward pass.
    """
    for part in backbone.modules():
        if isinstance(part, nn.Conv2d) and part.groups > 1:
            part.requires_grad_(False)  # the bias too: its gradient alone takes as long as both
