"""The weights of one detector for another one: with more classes, or without its last decoder layers.

Every decoder layer has its own heads, so the network without the last one works
at once. A new class begins as a rare twin of the first one.
"""

import re

import torch

from . import network

RARER = 3.0  # logits, of a new class against the first one
LAYER = re.compile(r"\b(?:layers|class_embed|bbox_embed)\.(\d+)\.")
DECODER = ("model.decoder.", "class_embed.", "bbox_embed.")


def refit(config: dict, weights: dict[str, torch.Tensor], layers: int = 0) -> tuple[dict, dict[str, torch.Tensor]]:
    """Configuration and weights with all classes of network.LABELS and the first `layers` decoder layers (0: all)."""
    layers = min(layers or config["decoder_layers"], config["decoder_layers"])
    missing = len(network.LABELS) - len(config["id2label"])
    names = {str(k): v for k, v in network.LABELS.items()}
    config = config | {"decoder_layers": layers, "id2label": names, "label2id": {v: k for k, v in network.LABELS.items()}}
    kept = {k: v for k, v in weights.items() if not (k.startswith(DECODER) and (m := LAYER.search(k)) and int(m[1]) >= layers)}
    return config, {k: _grown(k, v, missing) for k, v in kept.items()}


def _grown(name: str, value: torch.Tensor, missing: int) -> torch.Tensor:
    if missing <= 0:
        return value
    if "denoising_class_embed" in name:  # its last row is "no animal"
        return torch.cat([value[:-1], *[value[:1] * 0.9] * missing, value[-1:]])
    if "class_embed" in name or "enc_score_head" in name:
        return torch.cat([value, *[value[:1] - (RARER if name.endswith("bias") else 0.0)] * missing])
    return value
