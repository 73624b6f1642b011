"""The mean of the weights of several checkpoints of one network, as a checkpoint.

Runs of one start with other views end in one valley, and the middle of it is better than
its edges (Wortsman et al., "Model soups", ICML 2022).
"""

import argparse
import sys
from pathlib import Path

from . import checkpoint


def mix(paths: list[Path], share: float | None = None) -> dict:
    """Configuration, mean weights and the steps of all runs. Raises checkpoint.CheckpointError for different networks.

    share: of the second of two checkpoints, instead of one half.
    """
    states = [checkpoint.read(p) for p in paths]
    first = states[0]["weights"]
    for path, state in zip(paths, states, strict=True):
        if {k: v.shape for k, v in state["weights"].items()} != {k: v.shape for k, v in first.items()}:
            raise checkpoint.CheckpointError(f"checkpoint {path}: is for another network than {paths[0]}")
    parts = [1 / len(states)] * len(states) if share is None else [1 - share, share]
    weights = {k: sum(part * s["weights"][k] for part, s in zip(parts, states, strict=True)) if v.is_floating_point() else v for k, v in first.items()}
    return {"config": states[0]["config"], "weights": weights, "step": sum(s.get("step", 0) for s in states)}


def main(argv: list[str]) -> int:
    p = argparse.ArgumentParser(prog="cattletrain.soup", description=__doc__)
    p.add_argument("checkpoints", type=Path, nargs="+")
    p.add_argument("out", type=Path, help="checkpoint to write")
    p.add_argument("--share", type=float, help="of the second of two checkpoints, from 0 to 1, instead of one half")
    a = p.parse_args(argv)
    if a.share is not None and (len(a.checkpoints) != 2 or not 0 <= a.share <= 1):
        p.error("--share wants two checkpoints and a number from 0 to 1")
    try:
        checkpoint.save(a.out, mix(a.checkpoints, a.share))
    except (checkpoint.CheckpointError, OSError) as e:
        print(f"soup: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
