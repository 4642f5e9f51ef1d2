"""The way that a user goes, by the real commands and with the committed recipes: from nothing to a compared model.

Each step reads what the step before it wrote, and nothing here is made by hand but the two tiny base models, which
stand for the published ones (their weights are random: what is heard is nonsense, what is tested are the seams).
"""

import json
from pathlib import Path

import pytest
import yaml

from evoxtral.cli.main import main
from tiny_edge import save_tiny_edge
from tiny_models import save_tiny_voxtral

RECIPES = Path(__file__).parents[1] / "recipes"
SHORT_RUN = (
    "optimisation.max_steps=2",
    "optimisation.max_minutes=null",
    "optimisation.batch_size=2",
    "optimisation.precision=float32",
    "optimisation.compile=false",
    "optimisation.workers=0",
    "evaluation.batch_size=4",
    "evaluation.max_new_tokens=24",
    "preference.if_tag_f1_below=null",
    "preference.sources=[]",
    "preference.clips=6",
    "preference.candidates=3",
    "preference.margin=0.000001",
    "preference.pairs=4",
    "preference.batch_size=2",
    "tracker=none",
)


def evoxtral(*arguments: object) -> None:
    """Run a command; its exit code must be 0."""
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    assert stop.value.code == 0


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus folder through scripts, synthesize, validate and build."""
    folder = tmp_path_factory.mktemp("whole") / "corpus"
    evoxtral("corpus", "scripts", folder, "--count", 30, "--seed", 5)
    config = yaml.safe_load((folder / "corpus.yaml").read_text("utf-8"))
    config["dataset"] |= {"validation": 0.2, "test": 0.2}
    (folder / "corpus.yaml").write_text(yaml.safe_dump(config), "utf-8")
    evoxtral("corpus", "synthesize", folder, "--workers", 2)
    # A clip that is silent must be met by nobody after validation.
    spoiled = sorted((folder / "audio").glob("*.flac"))[0]
    _silence(spoiled)
    evoxtral("corpus", "validate", folder)
    evoxtral("corpus", "build", folder)
    return folder


def _silence(path: Path) -> None:
    import soundfile

    samples, rate_hz = soundfile.read(path)
    soundfile.write(path, 0 * samples, rate_hz)


@pytest.fixture(scope="module")
def testset(corpus: Path) -> Path:
    """A benchmark set of the corpus's test split."""
    folder = corpus.parent / "testset"
    evoxtral("bench", "export", corpus, "-o", folder)
    return folder


def test_the_clip_that_validation_set_aside_is_in_no_split(corpus: Path) -> None:
    import datasets

    lines = (corpus / "set_aside.jsonl").read_text("utf-8").split("\n")
    aside = {json.loads(line)["id"] for line in lines if line}
    built = datasets.load_dataset(str(corpus / "dataset"))
    ids = {clip for split in built.values() for clip in split["clip_id"]}
    assert aside
    assert not aside & ids
    assert len(aside | ids) == 30


@pytest.mark.parametrize("family", ["voxtral", "whisper"])
def test_from_a_corpus_to_a_model_that_is_compared(
    family: str,
    corpus: Path,
    testset: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    if family == "voxtral":
        recipe, base = RECIPES / "voxtral-lora.yaml", save_tiny_voxtral(tmp_path / "base")
        temperature, result = 1.0, "merged"
    else:
        recipe = RECIPES / "edge" / "edge.yaml"
        # It writes this by heart, and at a temperature at which about one byte in twenty comes out otherwise.
        base = save_tiny_edge(tmp_path / "base", multilingual=True, text="I [laughs] know [pause] that.").parent / "hf"
        temperature, result = 4.0, "export"
    output = tmp_path / "run"
    # The built dataset to learn from and the corpus folder itself to validate on: both must read alike.
    sources = (
        f"data.train=[{{path: {corpus / 'dataset'}, split: train}}]",
        f"data.validation=[{{path: {corpus}, split: validation}}]",
    )
    preference = f"preference.temperature={temperature}"
    changes = (
        *sources,
        *SHORT_RUN,
        preference,
        f"base_folder={base}",
        f"output={output}",
        f"bench={{testset: {testset}}}",
    )
    evoxtral("train", recipe, "--dry-run", *changes)
    assert "training clips: " in capfd.readouterr().out
    evoxtral("train", recipe, *changes)
    provenance = json.loads((output / "provenance.json").read_text("utf-8"))
    assert provenance["stages"]["preference"]["metrics"]["pairs"] > 0
    assert provenance["stages"]["sft"]["metrics"]["steps"] == 2
    assert "# " in (output / result / "README.md").read_text("utf-8")

    capfd.readouterr()
    clip = next((testset / "audio").iterdir())
    evoxtral("transcribe", clip, "--model", output / result, "--format", "json")
    assert json.loads(capfd.readouterr().out)["model"] == str(output / result)

    evoxtral("bench", "run", "--test-set", testset, "--model", output / result, "-o", tmp_path / "after")
    evoxtral("bench", "run", "--test-set", testset, "--model", base, "-o", tmp_path / "before")
    capfd.readouterr()
    evoxtral(
        *("bench", "compare", tmp_path / "before" / "predictions.jsonl", tmp_path / "after" / "predictions.jsonl"),
        *("--reference", testset / "references.jsonl", "--format", "json"),
    )
    compared = json.loads(capfd.readouterr().out)
    assert json.dumps(compared).count("before") > 0
