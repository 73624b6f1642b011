"""The recipe as steps: what is there is not made again, a failed step stops the run, and every folder of the training is made."""

import subprocess
import sys
from pathlib import Path

import pytest

from cattletrain import retrain


def python(text: str, *arguments) -> list:
    return [sys.executable, "-c", text, *arguments]


def written(name: str, folder: Path, text: str, *needs: str) -> retrain.Step:
    """A step that writes a file and adds a line to the list of what ran."""
    code = "import sys, pathlib; pathlib.Path(sys.argv[1]).write_text(sys.argv[2]); open(sys.argv[3], 'a').write(sys.argv[2] + '\\n')"
    return retrain.Step(name, folder / name, python(code, retrain.DRAFT, text, folder / "ran"), needs)


def test_a_step_runs_after_what_it_needs_and_only_once(tmp_path):
    steps = [written("ground", tmp_path, "ground"), written("mined", tmp_path, "mined", "ground")]
    retrain.run(steps, tmp_path / "logs", 2)
    assert (tmp_path / "mined").read_text() == "mined"
    (tmp_path / "mined").unlink()
    retrain.run(steps, tmp_path / "logs", 2)
    assert (tmp_path / "ran").read_text().split() == ["ground", "mined", "mined"]


def test_a_failed_step_leaves_no_output_and_stops_what_needs_it(tmp_path):
    code = "import sys, pathlib; pathlib.Path(sys.argv[1]).write_text('half'); sys.exit('no animal in the picture')"
    steps = [
        retrain.Step("cutouts", tmp_path / "cutouts", python(code, retrain.DRAFT)),
        written("composed", tmp_path, "composed", "cutouts"),
    ]
    with pytest.raises(retrain.RetrainError, match=r"cutouts ended with 1(.|\n)*no animal in the picture"):
        retrain.run(steps, tmp_path / "logs", 1)
    assert not (tmp_path / "cutouts").exists() and not (tmp_path / "composed").exists()
    retrain.run([written("cutouts", tmp_path, "whole"), steps[1]], tmp_path / "logs", 1)
    assert (tmp_path / "cutouts").read_text() == "whole" and (tmp_path / "composed").exists()


def test_a_step_without_its_output_is_an_error(tmp_path):
    with pytest.raises(retrain.RetrainError, match="wrote no"):
        retrain.run([retrain.Step("train", tmp_path / "step-8.pt", python("pass"))], tmp_path / "logs", 1)


def handed_out(root: Path) -> retrain.Places:
    """Empty files of the names that the recipe takes, and some of those that must stay unseen."""
    pictures = root / "pictures"
    names = [f"empty-ground/dunes_{n:02d}.jpg" for n in range(41)] + [f"empty-ground/works_{n:02d}.jpg" for n in range(38)]
    names += ["nadir-stills/isavill_a.jpg", "nadir-stills/shao_cattle.jpg", "drone-stills/images/yak_paddock_1__1.jpg"]
    names += [f"distractors/{n}.jpg" for n in ("mounir_sheep_1", "mounir_sheep_2", "mounir_sheep_3", "gigumay_elephants")]
    names += [f"distractors/{n}.jpg" for n in ("kenyanzebras_000003", "kenyanzebras_013215", "delplanque_mammals", "awir_deer_0048")]
    names += [f"../art/deepforest/{n}" for n in ("2019_YELL_2.png", "OSBS_029.png", "SOAP_061.png", "AWPE Pigeon Lake.JPG")]
    for name in names:
        (pictures / name).parent.mkdir(parents=True, exist_ok=True)
        (pictures / name).touch()
    return retrain.Places(pictures, root / "art", root / "out", root / "worker", root / "herdsim")


def test_the_recipe_makes_every_folder_it_trains_with_and_takes_no_held_back_picture(tmp_path):
    at = handed_out(tmp_path)
    steps = retrain.data_steps(at, 0.1)
    made = {s.name for s in steps}
    assert set(retrain.WEIGHTS) | set(retrain.WEIGHTS_AGAIN) <= made and all(s.makes == at.data(s.name) for s in steps)
    known: set[str] = set()
    for step in steps:
        assert set(step.needs) <= known, f"{step.name} comes before what it needs"
        used = {Path(str(part)).relative_to(at.out / "data").parts[0] for part in step.command if str(part).startswith(str(at.out / "data"))}
        assert used <= set(step.needs), f"{step.name} reads {used - set(step.needs)}, which it does not wait for"
        known.add(step.name)
    taken = {Path(str(part)).name for s in steps for part in s.command} | {p.name for p in (at.out / "first").rglob("*.jpg")}
    assert {"dunes_00.jpg", "dunes_21.jpg", "works_17.jpg", "isavill_a.jpg", "mounir_sheep_3.jpg"} <= taken
    held = {"dunes_22.jpg", "dunes_40.jpg", "works_18.jpg", "works_37.jpg", "shao_cattle.jpg", "mounir_sheep_2.jpg", "kenyanzebras_013215.jpg"}
    assert not taken & (held | {"awir_deer_0048.jpg"})


def test_a_missing_picture_is_named(tmp_path):
    at = handed_out(tmp_path)
    (at.pictures / "distractors" / "gigumay_elephants.jpg").unlink()
    with pytest.raises(retrain.RetrainError, match=r"gigumay_\*\.jpg in .*distractors"):
        retrain.data_steps(at, 1.0)


def test_the_training_ends_with_the_checkpoint_that_is_mixed(tmp_path):
    at = handed_out(tmp_path)
    steps = {s.name: s for s in retrain.model_steps(at, 350, 8)}
    for name, makes, start in (("train", "step-100.pt", retrain.START), ("train-again", "step-200.pt", steps["train"].makes)):
        train = [str(part) for part in steps[name].command]
        assert steps[name].makes.name == makes and f"step-{train[train.index('--steps') + 1]}.pt" == makes
        assert train[train.index("--start") + 1] == str(start)
    assert steps["train"].makes.parent != steps["train-again"].makes.parent, "a run goes on where a checkpoint is"
    assert str(steps["train-again"].makes) in map(str, steps["mix-0.6"].command) and steps["mix-0.6"].needs == ("train-again",)
    assert {s.makes.name for n, s in steps.items() if n.startswith("export")} == {f"share-{share:g}" for share in retrain.SHARES}


def test_the_commands_of_the_recipe_are_understood(tmp_path):
    """Each module knows the options it gets; a wrong one would end a run after hours."""
    at = handed_out(tmp_path)
    options: dict[str, set[str]] = {}
    for step in (*retrain.data_steps(at, 1.0), *retrain.model_steps(at, 800, 8)):
        if step.command[1] == "-m":
            options.setdefault(str(step.command[2]), set()).update(str(part) for part in step.command[3:] if str(part).startswith("--"))
    assert {"cattletrain.train", "cattletrain.compose", "cattletrain.herds3d"} <= options.keys()
    for name, used in options.items():
        usage = subprocess.run([sys.executable, "-m", name, "--help"], capture_output=True, text=True, check=True).stdout
        assert not [option for option in used if option not in usage], name


def test_a_trial_and_a_whole_run_need_folders_of_their_own(tmp_path):
    retrain.hold(tmp_path / "run", {"part": 0.1, "steps": 100})
    retrain.hold(tmp_path / "run", {"part": 0.1, "steps": 100})
    with pytest.raises(retrain.RetrainError, match="choose another folder"):
        retrain.hold(tmp_path / "run", {"part": 1.0, "steps": 800})
