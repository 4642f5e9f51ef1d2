import json
from pathlib import Path

import pytest
import yaml

from evoxtral.cli.main import main
from evoxtral.training import estimates
from evoxtral.training.adapters import add_adapter
from evoxtral.training.dry_run import Estimate, Plan, make_plan
from evoxtral.training.recipe import load_recipe
from evoxtral.training.trainee import load_trainee
from tiny_models import save_tiny_realtime, save_tiny_whisper, write_corpus


def write_recipe(folder: Path, family: str, base: Path, **changes: object) -> Path:
    corpus = write_corpus(folder / "corpus", ["[sad] a", "b", "c", "d", "e"])
    content = {
        "name": "tiny",
        "family": family,
        "base": "openai/whisper-base",
        "base_folder": str(base),
        "output": str(folder / "run"),
        "data": {"train": [{"path": str(corpus)}]},
        "optimisation": {"batch_size": 2, "epochs": 3},
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(content | changes))
    return path


@pytest.mark.parametrize("family", ["whisper", "voxtral"])
def test_plan_counts_clips_windows_steps_and_parameters(
    tiny_whisper: Path, tiny_voxtral: Path, tmp_path: Path, family: str
) -> None:
    base = tiny_whisper if family == "whisper" else tiny_voxtral
    recipe = load_recipe(write_recipe(tmp_path, family, base))
    plan = make_plan(recipe, ("sft", "merge"))
    assert (plan.clips, plan.left_out, plan.windows, plan.windows_per_epoch) == (5, 0, 15, 5)
    assert plan.audio_s == pytest.approx(1 + 1.5 + 2 + 2.5 + 3)
    assert plan.steps == 8
    assert make_plan(recipe, ("sft",), processes=2).steps == 4
    assert plan.estimate is not None
    trained, total = add_adapter(load_trainee(recipe), recipe.lora).get_nb_trainable_parameters()
    assert plan.estimate.trained_parameters == trained
    assert plan.estimate.total_parameters == total - trained


@pytest.mark.parametrize("family", ["whisper", "voxtral"])
def test_estimates_move_with_what_they_depend_on(
    tiny_whisper: Path, tiny_voxtral: Path, tmp_path: Path, family: str
) -> None:
    path = write_recipe(tmp_path, family, tiny_whisper if family == "whisper" else tiny_voxtral)

    def estimate(**changes: object) -> Estimate:
        found = make_plan(load_recipe(path, {f"optimisation.{k}": v for k, v in changes.items()}), ()).estimate
        assert found is not None
        return found

    usual = estimate()
    assert estimate(batch_size=4).memory_gb > usual.memory_gb > estimate(checkpointing=True).memory_gb
    assert estimate(checkpointing=True).step_s > usual.step_s
    assert estimate(anchor=0.5).step_s > usual.step_s
    assert estimate(accumulation=3).step_s == pytest.approx(3 * usual.step_s)


def plan_of(step_s: float, steps: int, max_minutes: float | None) -> Plan:
    about = Estimate(memory_gb=12.3, step_s=step_s, total_parameters=100, trained_parameters=10)
    return Plan(1, 1.0, 0, steps, steps, steps, ("sft",), max_minutes, about)


@pytest.mark.parametrize(
    ("step_s", "steps", "max_minutes", "expected"),
    [
        # 0.9 and 1.5 times 600 s and 30 s
        (0.5, 1200, None, "about 9.0 to 15.0 minutes on an H100"),
        (0.5, 60, None, "less than a minute on an H100"),
        (6.0, 1200, None, "about 108 to 180 minutes on an H100"),
        (0.5, 1200, 20.0, "about 9.0 to 15.0 minutes on an H100"),
        # 270 s hold 270 / (0.5 * 1.5) to 270 / (0.5 * 0.9) steps
        (0.5, 13337, 4.5, "4.5 minutes, when the clock ends it: about 360 to 600 of the steps on an H100"),
        (0.5, 580, 4.5, "4.5 minutes, when the clock ends it: about 360 to 580 of the steps on an H100"),
    ],
)
def test_time_is_told_as_a_range_with_the_device_and_what_ends_it(
    step_s: float, steps: int, max_minutes: float | None, expected: str
) -> None:
    lines = plan_of(step_s, steps, max_minutes).lines
    assert lines[-1].startswith(f"time: {expected}; loading")
    assert lines[-2] == "memory: about 12 GB on each device"


def test_dry_run_prints_the_plan_and_touches_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_recipe(tmp_path, "whisper", save_tiny_whisper(tmp_path / "base"))
    with pytest.raises(SystemExit, match="0"):
        main(["train", str(path), "--dry-run", "optimisation.max_steps=3", "seed=4"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "stages: data, sft, merge, card"
    assert "training clips: 5 (0.00 h), 0 left out as too long" in lines
    assert "steps: 3" in lines
    assert any(line.startswith("memory: about ") for line in lines)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("model_type", "message"),
    [
        ("made_up", "is a made_up model (Voxtral, Voxtral Realtime and Whisper models can be run)"),
        ("voxtral_realtime", "is a Voxtral Realtime model, and the recipe's family is whisper"),
        ("voxtral", "is a Voxtral model, and the recipe's family is whisper"),
    ],
)
@pytest.mark.parametrize("options", [["--dry-run"], []])
def test_a_base_of_another_family_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], model_type: str, message: str, options: list[str]
) -> None:
    base = tmp_path / "base"
    base.mkdir()
    (base / "config.json").write_text(json.dumps({"model_type": model_type}))
    with pytest.raises(SystemExit, match="2"):
        main(["train", str(write_recipe(tmp_path, "whisper", base)), *options])
    captured = capsys.readouterr()
    assert f"{base}: {message}" in captured.err.splitlines()[-1]
    assert captured.out == ""


def test_every_frame_of_a_model_that_writes_frames_has_logits(tmp_path: Path) -> None:
    """Worked by hand: each clip is estimated as 30 s, which are 424 positions, with ten more."""
    base = save_tiny_realtime(tmp_path / "base")
    recipe = load_recipe(write_recipe(tmp_path, "voxtral_realtime", base))
    plan = make_plan(recipe, ("sft",))
    assert plan.estimate is not None
    trained, total = add_adapter(load_trainee(recipe), recipe.lora).get_nb_trainable_parameters()
    assert plan.estimate.trained_parameters == trained
    assert plan.estimate.total_parameters == total - trained
    shape = estimates.read_shape(recipe)
    assert shape is not None
    rows = recipe.optimisation.batch_size
    batch = estimates.Batch(encoder_windows=rows, decoder_positions=rows * 434, targets=rows * 434)
    assert plan.estimate.memory_gb == pytest.approx(estimates.memory_gb(shape, batch, estimates.Settings()))
    assert plan.lines[-1] == "time: unknown, no step of such a model was measured"


def test_without_the_base_the_plan_says_what_it_cannot_know(tmp_path: Path) -> None:
    path = write_recipe(tmp_path, "whisper", tmp_path / "no-such-model")
    plan = make_plan(load_recipe(path), ("sft",))
    assert plan.estimate is None
    assert plan.lines[-1] == "memory and time: unknown without the base model's configuration"


def test_a_trial_of_a_sweep_takes_its_values_and_its_own_folder(
    tiny_whisper: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the command line that W&B's own code makes of the sweep file."""
    utils = pytest.importorskip("wandb.sdk.launch.sweeps.utils")
    sweep = yaml.safe_load((Path(__file__).parents[2] / "recipes" / "sweep.yaml").read_text())
    drawn = {"args": {"optimisation.learning_rate": {"value": 0.002}, "lora.rank": {"value": 16}}}
    arguments = utils.create_sweep_command_args(drawn)["args_no_hyphens"]
    command = [part for word in sweep["command"] for part in (arguments if word == "${args_no_hyphens}" else [word])]
    assert set(sweep["parameters"]) == set(drawn["args"])
    recipe = write_recipe(tmp_path, "whisper", tiny_whisper, optimisation={"precision": "float32", "batch_size": 5})
    monkeypatch.setenv("WANDB_SWEEP_ID", "s1")
    monkeypatch.setenv("WANDB_RUN_ID", "r1")
    words = [str(recipe) if word.startswith("recipes/") else word for word in command[1:]]
    with pytest.raises(SystemExit, match="0"):
        main(words)
    made = yaml.safe_load((tmp_path / "run" / "r1" / "recipe.yaml").read_text())
    assert (made["optimisation"]["learning_rate"], made["lora"]["rank"]) == (0.002, 16)
    assert (tmp_path / "run" / "r1" / "adapter" / "adapter_model.safetensors").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.yaml"], "missing.yaml: no such recipe"),
        (["recipe.yaml", "seed"], "'seed' is not NAME=VALUE"),
        (["recipe.yaml", "lora.rank=0"], "lora.rank"),
        (["recipe.yaml", "--until", "export"], "no stage 'export' in this recipe"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    write_recipe(tmp_path, "whisper", tmp_path / "no-such-model")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="2"):
        main(["train", *arguments])
    assert message in capsys.readouterr().err.splitlines()[-1]
