"""Checkpoints: everything to continue a training run, and weights to start another one."""

import os
import pickle
from pathlib import Path

import torch
from torch import nn
from transformers import RTDetrV2Config

from . import network

FORM = 1  # of the file


class CheckpointError(Exception):
    """A checkpoint that is missing, damaged, or for another network."""


def save(path: Path, state: dict) -> None:
    """Writes the complete file or nothing: content, sync, rename."""
    part = path.with_name(path.name + ".part")
    try:
        with open(part, "wb") as f:
            torch.save(state | {"form": FORM}, f)
            f.flush()
            os.fsync(f.fileno())
    except BaseException:
        part.unlink(missing_ok=True)  # frees the disk after an error
        raise
    os.replace(part, path)


def read(path: Path) -> dict:
    """The content of a checkpoint. Only tensors and plain values are unpickled. Raises CheckpointError."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as e:
        raise CheckpointError(f"checkpoint {path}: no such file") from e
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as e:
        raise CheckpointError(f"checkpoint {path}: cannot be read: {str(e).splitlines()[0] if str(e) else type(e).__name__}") from e
    if not isinstance(state, dict) or state.get("form") != FORM or not {"config", "weights"} <= state.keys():
        raise CheckpointError(f"checkpoint {path}: not a checkpoint of this program (form {FORM})")
    state["weights"] = {k: v.float() if v.dtype == torch.float16 else v for k, v in state["weights"].items()}
    return state


def slim(source: Path, target: Path) -> None:
    """Writes only the weights, with 16 bits, to start other runs. Raises CheckpointError."""
    state = read(source)
    weights = {k: v.half() if v.dtype == torch.float32 else v for k, v in state["weights"].items()}
    save(target, {"config": state["config"], "weights": weights, "step": state.get("step", 0)})


def load_weights(model: nn.Module, weights: dict, path: Path) -> None:
    """Loads the weights into the model. Raises CheckpointError with the differences."""
    own = model.state_dict()
    faults = [f"{k} is missing" for k in own if k not in weights]
    faults += [f"{k} is not in this network" for k in weights if k not in own]
    faults += [
        f"{k} is {list(weights[k].shape)}, want {list(own[k].shape)}" for k in own if k in weights and weights[k].shape != own[k].shape
    ]
    if faults:
        raise CheckpointError(f"checkpoint {path}: made for another network: {'; '.join(faults[:5])} ({len(faults)} differences)")
    model.load_state_dict(weights)


def model_of(path: Path) -> tuple[nn.Module, dict]:
    """The detector of a checkpoint with its (averaged) weights, and the checkpoint. Raises CheckpointError."""
    state = read(path)
    try:
        config = RTDetrV2Config.from_dict(state["config"])
        model = network.build(config, pretrained=False)
    except Exception as e:  # transformers raises many types for a foreign configuration
        raise CheckpointError(f"checkpoint {path}: configuration cannot be used: {e}") from e
    load_weights(model, state["weights"], path)
    return model, state
