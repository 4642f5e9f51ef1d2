"""`evoxtral corpus` as a user runs it: what it prints, its exit codes, and what an interruption leaves behind."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from evoxtral.cli.main import main
from evoxtral.data.corpus_folder import CorpusFolder


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main(["corpus", *map(str, arguments)])
    captured = capsys.readouterr()
    assert isinstance(stop.value.code, int)
    return stop.value.code, captured.out, captured.err


def test_scripts_are_written_to_the_count_and_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "scripts", tmp_path / "c", "--count", 150, "--seed", 3)[0] == 0
    assert yaml.safe_load((tmp_path / "c" / "corpus.yaml").read_text())["scripts"]["count"] == 150
    code, out, _ = run(capsys, "check", tmp_path / "c", "--format", "json")
    report = json.loads(out)
    assert (code, report["passed"], report["scripts"]) == (0, True, 150)
    # Options were remembered; a greater count adds to what is there.
    first = CorpusFolder(tmp_path / "c").read_scripts()
    assert run(capsys, "scripts", tmp_path / "c", "--count", 200)[0] == 0
    assert CorpusFolder(tmp_path / "c").read_scripts()[:150] == first
    code, out, err = run(capsys, "scripts", tmp_path / "c")
    assert (code, out) == (0, "")
    assert "200 scripts, 0 of them new" in err


def test_a_missed_target_is_in_the_table_and_in_the_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [
        {"tagged_text": "[laughs] One thing is like the other one."},
        {"tagged_text": "One thing is like the other."},
    ]
    (tmp_path / "foreign.json").write_text(json.dumps(lines))
    assert run(capsys, "import", tmp_path / "c", tmp_path / "foreign.json")[0] == 0
    code, out, _ = run(capsys, "check", tmp_path / "c")
    assert code == 1
    (line,) = [line for line in out.splitlines() if "ROUGE-L" in line]
    assert "MISSED" in line
    assert "1 pairs" in line
    assert any("unknown tags" in line and "ok" in line for line in out.splitlines())


def test_an_import_reports_what_it_could_not_take(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "foreign.json").write_text(
        json.dumps([{"tagged_text": "[giggles] Here we go [yodels] again."}, {"words": 1}])
    )
    code, out, err = run(capsys, "import", tmp_path / "c", tmp_path / "foreign.json", "--domain", "podcast")
    assert (code, out) == (1, "")
    assert "unknown tags, kept: yodels (1)" in err
    assert "tags renamed: giggles (1)" in err
    assert "skipped: no tagged_text (1)" in err
    (script,) = CorpusFolder(tmp_path / "c").read_scripts()
    assert (script.tagged_text, script.domain) == ("[laughs] Here we go [yodels] again.", "podcast")
    (tmp_path / "again.json").write_text(json.dumps([{"tagged_text": "[giggles] Here we go [yodels] again."}]))
    code, _, err = run(capsys, "import", tmp_path / "c", tmp_path / "again.json")
    assert code == 0  # as after an interruption: all of it is there
    assert "skipped: the same text again (1)" in err
    (tmp_path / "none.json").write_text(json.dumps([{"words": 1}]))
    assert run(capsys, "import", tmp_path / "c", tmp_path / "none.json")[0] == 2


def test_what_failed_and_what_was_only_asked_is_not_remembered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ELEVENLABS_API_KEY", raising=False)
    folder = tmp_path / "c"
    assert run(capsys, "scripts", folder, "--count", 12)[0] == 0
    before = (folder / "corpus.yaml").read_text()
    code, out, _ = run(capsys, "synthesize", folder, "--engine", "elevenlabs", "--dry-run")
    scripts = CorpusFolder(folder).read_scripts()
    # Of a dialogue each turn is paid, and not the spaces between them.
    characters = sum(len(part.tagged_text) for script in scripts for part in script.turns or [script])
    assert (code, out) == (0, f"12 of 12 clips to make, {characters:,} characters to pay\n")
    assert run(capsys, "synthesize", folder, "--voice", "nobody")[0] == 2
    assert run(capsys, "validate", folder, "--listener", tmp_path / "no-model")[0] == 2
    assert (folder / "corpus.yaml").read_text() == before


def test_foreign_voices_are_named_and_can_be_left_behind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "foreign.json").write_text(json.dumps([{"id": "x", "tagged_text": "Hello.", "voice": "Rachel"}]))
    assert run(capsys, "import", tmp_path / "c", tmp_path / "foreign.json")[0] == 0
    code, _, err = run(capsys, "synthesize", tmp_path / "c", "--dry-run")
    assert code == 2
    assert "no voice 'Rachel'; script 'x' names it" in err
    assert "--any-voice" in err
    assert run(capsys, "import", tmp_path / "d", tmp_path / "foreign.json", "--any-voice")[0] == 0
    assert run(capsys, "synthesize", tmp_path / "d", "--dry-run")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["check", "{}"], "evoxtral corpus scripts"),
        (["synthesize", "{}"], "evoxtral corpus scripts"),
        (["validate", "{}", "--listener", "none"], "evoxtral corpus synthesize"),
        (["build", "{}"], "no clips"),
        (["scripts", "{}", "--writer", "openai"], "model"),
        (["import", "{}", "{}/nothing.json"], "does not exist"),
        (["scripts", "/dev/null/c"], "/dev/null"),
        (["check", "{}/typo"], "there is no folder"),
    ],
)
def test_what_is_missing_is_said_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], hint: str
) -> None:
    code, out, err = run(capsys, *(argument.format(tmp_path) for argument in arguments))
    assert (code, out) == (2, "")
    assert hint in err
    assert "Traceback" not in err
    assert not (tmp_path / "typo").exists()


def test_the_whole_way_from_scripts_to_a_dataset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    datasets = pytest.importorskip("datasets")
    folder = tmp_path / "c"
    lines = [
        {"tagged_text": text, "domain": "podcast"}
        for text in (
            "The last boat left at noon.",
            "[whispers] Don't tell your brother about it.",
            "We ate soup under a leaking roof.",
            "[laughs] Nobody believed a single word!",
            "Turn left behind the old mill.",
            "[sighs] Another letter from the bank.",
        )
    ]
    (tmp_path / "foreign.json").write_text(json.dumps(lines))
    voices = ("espeak/amber", "espeak/carl", "espeak/flora", "espeak/glen", "espeak/hugh")
    assert run(capsys, "import", folder, tmp_path / "foreign.json")[0] == 0
    options = [option for voice in voices for option in ("--voice", voice)]
    options += ["--holdout-voice", "espeak/oscar", "--holdout-voice", "espeak/ned", "--workers", "1"]
    code, out, _ = run(capsys, "synthesize", folder, *options, "--dry-run")
    assert code == 0
    assert sum(int(line.split()[0]) for line in out.splitlines()) == 6
    config = yaml.safe_load((folder / "corpus.yaml").read_text())
    (folder / "corpus.yaml").write_text(yaml.safe_dump({**config, "dataset": {**config["dataset"], "test": 0.34}}))
    assert run(capsys, "synthesize", folder, *options)[0] == 0
    assert run(capsys, "validate", folder, "--listener", "none")[0] == 0
    code, out, err = run(capsys, "build", folder)
    assert (code, out) == (0, f"{folder}/dataset\n")
    test = datasets.load_dataset(str(folder / "dataset"), split="test", cache_dir=str(tmp_path / "cache"))
    train = datasets.load_dataset(str(folder / "dataset"), split="train", cache_dir=str(tmp_path / "cache"))
    assert set(test["voice"]) <= {"espeak/oscar", "espeak/ned"}
    assert len(test) >= 1
    assert set(train["voice"]) <= set(voices)
    assert "left out" not in err


def test_what_is_built_is_what_is_trained_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commands that the recipe's `made_by` names, and the recipe itself, as they are in the repository."""
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    recipe = Path(__file__).parents[2] / "recipes" / "voxtral-lora.yaml"
    options = [
        option for voice in ("amber", "carl", "flora", "glen", "hugh") for option in ("--voice", f"espeak/{voice}")
    ]
    assert run(capsys, "scripts", "corpus", "--count", 12)[0] == 0
    assert run(capsys, "synthesize", "corpus", *options, "--workers", 1)[0] == 0
    clips = CorpusFolder("corpus").read_clips()
    audio = Path("corpus", clips[0].audio)
    soundfile.write(audio, np.zeros(32_000), 16_000)  # what validation sets aside
    assert run(capsys, "validate", "corpus", "--listener", "none")[0] == 0
    code, _, err = run(capsys, "build", "corpus")
    assert code == 0
    assert "left out, set aside by validation: 1" in err
    counts = {line.split(":")[0]: int(line.split()[1]) for line in err.splitlines() if " clips, " in line}
    assert counts["train"] + counts["validation"] + counts["test"] == 11

    def clips_of(*changes: str) -> int:
        with pytest.raises(SystemExit) as stop:
            # No base model is looked for on the hub: this is about clips.
            main(["train", str(recipe), "--dry-run", "base_folder=nowhere", *changes])
        out = capsys.readouterr().out
        assert stop.value.code == 0
        (line,) = [line for line in out.splitlines() if line.startswith("training clips: ")]
        return int(line.split()[2])

    assert clips_of() == counts["train"]
    for path in ("corpus", "corpus/dataset"):
        for split, expected in {**counts, "all": 11}.items():
            if expected:
                assert clips_of(f"data.train=[{{path: {path}, split: {split}}}]") == expected


def test_ctrl_c_keeps_what_is_written_and_the_same_command_resumes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "c"
    program = "import sys; from evoxtral.cli.main import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", program, "corpus", "scripts", str(folder), "--count", "3000"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    path = folder / "scripts.jsonl"
    while process.poll() is None and not (path.exists() and path.stat().st_size):
        os.sched_yield()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130, err
    assert err.strip() == "evoxtral: interrupted"
    kept = CorpusFolder(folder).read_scripts()
    assert 100 <= len(kept) < 3_000
    wanted = len(kept) + 50
    assert run(capsys, "scripts", folder, "--count", wanted)[0] == 0
    scripts = CorpusFolder(folder).read_scripts()
    assert scripts[: len(kept)] == kept
    assert len({script.id for script in scripts}) == len(scripts) == wanted
