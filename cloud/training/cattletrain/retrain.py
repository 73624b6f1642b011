"""All of the newest recipe by one command: data, training, mixtures with the weights before, and model folders.

The steps run in order, some at the same time. A step that has written its output is skipped, so a stopped run goes on
where it was; remove an output, and what is made from it, to make it again. Each step writes to a draft first, and what
it prints is in OUT/logs. All seeds are fixed.

The pictures to learn from are the first half of each site of empty ground, and the pictures of nadir-stills and
distractors that are named here; `make evaluate` knows the same names.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from . import coco

DRAFT = "{draft}"  # stands for the output in a command
START = Path(__file__).resolve().parent.parent / "default.pt"
DEFAULT = START.parent.parent / "model" / "default"
SHARES = (1.0, 0.8, 0.6, 0.4)  # of the new weights in the mixtures
STEPS, KEEP_EVERY = 2300, 100
FIRST_STEPS = 0.35  # of all steps, with the pictures of WEIGHTS; the others have those of WEIGHTS_AGAIN
FIRST = {"dunes": "dunes_{0,1}?.jpg dunes_2{0,1}.jpg", "works": "works_0?.jpg works_1{0,1,2,3,4,5,6,7}.jpg"}
STRAIGHT_DOWN = "isavill_*.jpg"
OTHERS = "mounir_sheep_{1,3}.jpg gigumay_*.jpg kenyanzebras_000003.jpg delplanque_*.jpg"
FORESTS = "2019_YELL_*.png OSBS_*.png SOAP_*.png"
PELICANS = "AWPE*.JPG"
CLOSE = ("--plain", "0", "--close", "0.6", "--alike", "0.6")
PLAIN = ("--plain", "0.85", "--alike", "0.5")
EMPTY = ("empty-dunes", "empty-works")
OTHER_GROUND = ("ground", "ground-ufo", "forest", "stills", "nadir")
NO_GROUND = ("mask", "relief", "overlay", "light", "hires", "normal", "noise", "structure")

# The share of each folder of pictures in the views of the first steps.
WEIGHTS = {
    "stills": 1.2, "nadir": 0.5, "dairy": 0.4, "others": 0.4, "birds": 0.1,
    "empty-works": 2.1, "empty-dunes": 0.6, "mined-works": 0.3,
    "ground": 0.15, "ground-ufo": 0.15, "forest": 0.1,
    "render": 0.7, "simclips": 0.8, "herds3d-plain": 0.5, "herds3d-close": 0.6,
    "composed-empty": 0.6, "composed-other": 0.4,
}  # fmt: skip
# And of the other steps, with more pictures that are made.
WEIGHTS_AGAIN = {
    "stills": 1.3, "nadir": 0.7, "dairy": 0.4, "others": 0.4, "birds": 0.1,
    "empty-works": 2.4, "empty-dunes": 0.7, "mined-works": 0.4,
    "ground": 0.2, "ground-ufo": 0.2, "forest": 0.1,
    "render": 0.3, "render-more": 0.5, "simclips": 0.6, "simclips-more": 1.0,
    "herds3d-plain": 0.25, "herds3d-plain-more": 0.3, "herds3d-close": 0.25, "herds3d-close-more": 0.4,
    "composed-empty": 0.3, "composed-empty-more": 0.5, "composed-other": 0.2, "composed-other-more": 0.4,
}  # fmt: skip


class RetrainError(Exception):
    """A step failed, or its input is missing."""


@dataclass(frozen=True)
class Step:
    """A command that writes one file or folder.

    command: DRAFT in it is replaced by a path for the output, which is moved to `makes` when the command ends well;
    without DRAFT the command itself writes `makes` as its last act. needs: names of steps before it.
    """

    name: str
    makes: Path
    command: Sequence[str | Path]
    needs: Sequence[str] = field(default=())


def chosen(folder: Path, patterns: str) -> list[Path]:
    """The files of a folder that match one of the patterns, which are between spaces; {a,b} stands for a or b.

    Raises RetrainError for a pattern without a file.
    """
    files: set[Path] = set()
    for pattern in patterns.split():
        head, _, rest = pattern.partition("{")
        middle, _, tail = rest.partition("}")
        found = {p for part in middle.split(",") for p in folder.glob(head + part + tail)}
        if not found:
            raise RetrainError(f"no file {pattern} in {folder}")
        files |= found
    return sorted(files)


def gather(files: Sequence[Path], folder: Path) -> Path:
    """A folder with links to the files and nothing else."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for file in files:
        (folder / file.name).symlink_to(file.resolve())
    return folder


def run(steps: Sequence[Step], logs: Path, jobs: int) -> None:
    """Runs the steps that lack their output, at most `jobs` at a time. Raises RetrainError for the first that fails."""
    logs.mkdir(parents=True, exist_ok=True)
    done: dict = {}

    def take(step: Step) -> None:
        for name in step.needs:
            done[name].result()  # raises what stopped it
        _one(step, logs)

    pool = ThreadPoolExecutor(jobs)
    try:
        for step in steps:  # a step comes after what it needs, so that waiting ones do not fill the pool
            done[step.name] = pool.submit(take, step)
        for step in steps:
            done[step.name].result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _one(step: Step, logs: Path) -> None:
    if step.makes.exists():
        print(f"{step.name}: is there", flush=True)
        return
    began = time.monotonic()
    print(f"{step.name}: starts", flush=True)
    room = step.makes.parent / f".{step.name}"
    shutil.rmtree(room, ignore_errors=True)
    draft = room / step.makes.name  # of the same name: folders of ground are clips of that name
    room.mkdir(parents=True)
    command = [str(part).replace(DRAFT, str(draft)) for part in step.command]
    log = logs / f"{step.name}.log"
    with open(log, "a") as out:
        print("$ " + " ".join(command), file=out, flush=True)
        code = subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, check=False).returncode
    if code:
        raise RetrainError(f"{step.name} ended with {code}; the end of {log}:\n" + "\n".join(log.read_text().splitlines()[-5:]))
    if draft.exists():
        os.replace(draft, step.makes)
    shutil.rmtree(room)
    if not step.makes.exists():
        raise RetrainError(f"{step.name} wrote no {step.makes}; see {log}")
    print(f"{step.name}: done in {time.monotonic() - began:.0f} s", flush=True)


@dataclass(frozen=True)
class Places:
    """pictures: the hand-out's folder of data; art: the unpacked packages of `make train-art`; out: for all that is made."""

    pictures: Path
    art: Path
    out: Path
    worker: Path
    herdsim: Path

    def data(self, name: str) -> Path:
        return self.out / "data" / name


def module(name: str, *arguments: str | Path) -> list[str | Path]:
    return [sys.executable, "-m", f"cattletrain.{name}", *arguments]


def data_steps(at: Places, part: float) -> list[Step]:
    """The steps that make the folders of WEIGHTS. part: of the numbers of pictures to make. Raises RetrainError."""
    model = ["--worker", at.worker, "--model", DEFAULT]
    first = {site: gather(chosen(at.pictures / "empty-ground", names), at.out / "first" / site) for site, names in FIRST.items()}
    first["forest"] = gather(chosen(at.art / "deepforest", FORESTS), at.out / "first" / "forest")
    photos = ["--photos", *first.values(), at.data("ground") / "images", at.data("ground-ufo") / "images"]
    library = ["--cutouts", at.data("cutouts"), "--clips", "*"]

    def step(name: str, command: Sequence[str | Path], *needs: str) -> Step:
        return Step(name, at.data(name), command, needs)

    def many(count: int) -> str:
        return str(max(2, round(part * count)))

    def points(folder: str) -> list[str | Path]:
        return [DRAFT, "--points", at.pictures / folder / "points", *model]

    return [
        step("ground-ufo", module("ground", at.art / "ufoai", DRAFT)),
        step("ground", module("ground", at.art / "flightgear", DRAFT, "--without", *NO_GROUND)),
        step("stills", module("label", *chosen(at.pictures / "drone-stills" / "images", "*.jpg"), *points("drone-stills"))),
        step("nadir", module("label", *chosen(at.pictures / "nadir-stills", STRAIGHT_DOWN), *points("nadir-stills"))),
        step("others", module("label", *chosen(at.pictures / "distractors", OTHERS), DRAFT, "--others", "0.4", *model)),
        step("birds", module("label", *chosen(at.art / "deepforest", PELICANS), DRAFT, "--others", "0.25", *model)),
        step("dairy", module("yolo", at.pictures / "dairy-boxes", DRAFT)),
        step("forest", module("ground", first["forest"], DRAFT)),
        *(step(f"empty-{site}", module("ground", first[site], DRAFT)) for site in FIRST),
        # Without other animals: white sheep would outnumber white cattle.
        step("cutouts", module("cutouts", *map(at.data, ("stills", "dairy", "nadir")), "--out", DRAFT, "--per-clip", "120"), "stills", "dairy", "nadir"),
        step("mined-works", module("mine", at.data("empty-works"), DRAFT, *model), "empty-works"),
        *(
            step(f"render{more}", [at.herdsim, "pictures", "--out", DRAFT, "--images", many(images), "--seed", seed])
            for more, images, seed in (("", 500, "13000"), ("-more", 600, "23000"))
        ),
        *(
            step(f"simclips{more}", module("simclips", DRAFT, "--herdsim", at.herdsim, "--clips", many(clips), "--seed", seed))
            for more, clips, seed in (("", 80, "5"), ("-more", 160, "6"))
        ),
        *(
            step(f"herds3d-{kind}", module("herds3d", at.art / "0ad", DRAFT, "--images", many(images), "--seed", seed, *look, *photos), "ground", "ground-ufo")
            for kind, images, seed, look in (
                ("close", 60, "521", CLOSE),
                ("close-more", 100, "621", CLOSE),
                ("plain", 40, "511", PLAIN),
                ("plain-more", 60, "611", PLAIN),
            )
        ),
        *(
            step(
                f"composed-{kind}",
                module(
                    "compose", *library, "--out", DRAFT, "--apart", apart, "--images", many(images), "--seed", seed, "--backgrounds", *map(at.data, grounds)
                ),
                "cutouts",
                *grounds,
            )
            for kind, apart, images, seed, grounds in (
                ("empty", "0.75", 180, "71", EMPTY),
                ("empty-more", "0.75", 320, "171", EMPTY),
                ("other", "0.65", 120, "72", OTHER_GROUND),
                ("other-more", "0.65", 220, "172", OTHER_GROUND),
            )
        ),
    ]


def model_steps(at: Places, steps: int, batch: int) -> list[Step]:
    """Training in two runs, mixtures and model folders. A stopped training goes on at its last checkpoint."""
    keep = min(KEEP_EVERY, steps // 2)
    first = max(1, round(FIRST_STEPS * steps / keep)) * keep
    last = max(1, (steps - first) // keep) * keep

    def train(name: str, start: Path, weights: dict[str, float], length: int, seed: str, rates: tuple[str, str], warmup: int) -> Step:
        out = at.out / ("run" if start == START else "run-again") / f"step-{length}.pt"
        data = [part for folder, weight in weights.items() for part in ("--data", f"{at.data(folder)}@{weight}")]
        command = module(
            "train", "--start", start, "--layers", "2", *data, "--out", out.parent, "--seed", seed, "--batch", str(batch),
            "--rate", rates[0], "--backbone-rate", rates[1], "--warmup", str(min(warmup, length // 2)), "--steps", str(length), "--keep-every", str(keep),
        )  # fmt: skip
        return Step(name, out, command, () if start == START else ("train",))

    made = [train("train", START, WEIGHTS, first, "81", ("2.5e-4", "8e-5"), 100)]
    made.append(train("train-again", made[0].makes, WEIGHTS_AGAIN, last, "84", ("2e-4", "7e-5"), 60))
    for share in SHARES:
        name = f"share-{share:g}"
        mixed, folder = at.out / "mixed" / f"{name}.pt", at.out / "models" / name
        made.append(Step(f"mix-{share:g}", mixed, module("soup", START, made[1].makes, DRAFT, "--share", f"{share:g}"), ("train-again",)))
        # As for the default: with these the scores are right, and white cattle from near are no sheep.
        export = module("export", mixed, DRAFT, "--name", "cattle-from-above", "--threshold", "0.4", "--calibration", "1", "-0.1", "--others", "-1.2")
        made.append(Step(f"export-{share:g}", folder, export, (f"mix-{share:g}",)))
    return made


def hold(out: Path, arguments: dict) -> None:
    """Writes the arguments that decide what is made. Raises RetrainError when the folder was made with others."""
    file = out / "arguments.json"
    if file.exists():
        before = json.loads(file.read_text())
        if before != arguments:
            raise RetrainError(f"{out} was made with {before}, not {arguments}; choose another folder, or remove it")
        return
    out.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(arguments))


def main(argv: list[str]) -> int:
    p = argparse.ArgumentParser(prog="cattletrain.retrain", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("pictures", type=Path, help="folder of the hand-out's data, with drone-stills, empty-ground and the others")
    p.add_argument("out", type=Path, help="folder for all that is made; a stopped run goes on")
    p.add_argument("--art", type=Path, required=True, help="folder of what make train-art fetches")
    p.add_argument("--worker", type=Path, required=True, help="the worker program")
    p.add_argument("--herdsim", type=Path, required=True, help="the herdsim program")
    p.add_argument("--steps", type=int, default=STEPS, help=f"of training in two runs; whole hundreds (default {STEPS})")
    p.add_argument("--batch", type=int, default=8, help="views a step (default 8)")
    p.add_argument("--part", type=float, default=1.0, help="of the pictures to make, for a quick trial (default 1)")
    p.add_argument("--jobs", type=int, default=min(8, os.cpu_count() or 1), help="steps at a time while data is made (default: processors, at most 8)")
    a = p.parse_args(argv)
    if a.steps < 2 or a.batch < 1 or a.jobs < 1 or not 0 < a.part <= 1:
        p.error("--steps must be at least 2, --batch and --jobs at least 1, --part above 0 and at most 1")
    at = Places(*(path.resolve() for path in (a.pictures, a.art, a.out, a.worker, a.herdsim)))
    try:
        hold(at.out, {"part": a.part, "steps": a.steps, "batch": a.batch, "first": WEIGHTS, "again": WEIGHTS_AGAIN})
        run(data_steps(at, a.part), at.out / "logs", a.jobs)
        run(model_steps(at, a.steps, a.batch), at.out / "logs", 1)
    except (RetrainError, coco.DataError, OSError) as e:
        print(f"retrain: {e}", file=sys.stderr)
        return 1
    print(f"{at.out / 'models'}: {len(SHARES)} models; the share of new weights is in their names")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
