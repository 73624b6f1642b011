"""The mean of the weights of several checkpoints of one network, as a checkpoint.

Runs of one start with other views end in one valley, and the middle of it is better than
its edges (Wortsman et al., "Model soups", ICML 2022).
"""

import argparse
import sys
from pathlib import Path

from . import checkpoint


def mix(paths: list[Path]) -> dict:
    """Configuration, mean weights and the steps of all runs. Raises checkpoint.CheckpointError for different networks."""
    states = [checkpoint.read(p) for p in paths]
    first = states[0]["weights"]
    for path, state in zip(paths, states, strict=True):
        if {k: v.shape for k, v in state["weights"].items()} != {k: v.shape for k, v in first.items()}:
            raise checkpoint.CheckpointError(f"checkpoint {path}: is for another network than {paths[0]}")
    weights = {k: sum(s["weights"][k] for s in states) / len(states) if v.is_floating_point() else v for k, v in first.items()}
    return {"config": states[0]["config"], "weights": weights, "step": sum(s.get("step", 0) for s in states)}


def main(argv: list[str]) -> int:
    p = argparse.ArgumentParser(prog="cattletrain.soup", description=__doc__)
    p.add_argument("checkpoints", type=Path, nargs="+")
    p.add_argument("out", type=Path, help="checkpoint to write")
    a = p.parse_args(argv)
    try:
        checkpoint.save(a.out, mix(a.checkpoints))
    except (checkpoint.CheckpointError, OSError) as e:
        print(f"soup: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
