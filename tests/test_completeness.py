"""A new tag is a row of the taxonomy: with the row alone, every room plans, writes, asks for, measures and shows it.

The row is added as a developer would add it, in the file, in a copy of the package whose other rooms are the real ones;
a process of its own imports the copy.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import evoxtral
from evoxtral.tags import TAG_TYPES, Category

PACKAGE = Path(evoxtral.__file__).parent
STUDIO = Path(__file__).parents[1] / "web"

# A sound, a way of speaking and a mood that the language does not have.
ROWS = """\
    TagType("yodels", Category.NON_VERBAL, "song", "a yodel", ("yodel", "yodelling"), Use(0.03, ("excited", "funny"))),
    TagType("drawls", Category.DELIVERY, "pace", "the following words drawn out", (), Use(0.03, ("calm",))),
    TagType("proud", Category.EMOTION, "pride", "chest out", ("proudly",), Use(0.001, ("excited",), clashes=("sad",))),
"""
NEW = ("yodels", "drawls", "proud")

# What each room makes of the rows; printed as JSON.
PROGRAM = """
import json
from collections import Counter
from evoxtral.bench.baselines import most_frequent_tag
from evoxtral.bench.scoring import score
from evoxtral.corpus.briefs import clash, plan
from evoxtral.corpus.composition import target_tag_shares
from evoxtral.corpus.gates import check
from evoxtral.corpus.writers import grammar, sentences
from evoxtral.corpus.writers.prompt import system_prompt
from evoxtral.tags import parse, tag_names
from evoxtral.tags.dialects import write
from evoxtral.tts import load_speech_engine

speech = load_speech_engine("local").speak("[yodels] [proud] Well, [drawls] here we are. [coughs]", seed=1)
scripts = grammar.write_scripts(1_000, seed=1)
report = check(scripts)
dealt = Counter(tag for brief in plan(1_000) for tag in brief.tags)
pool = {"one": ["The kettle sings.", "Nobody waited for the train.", "Come here, please!", "Why not?"]}
print(json.dumps({
    "parsed": [[tag.name, tag.category, tag.group] for tag in parse("[yodelling] [Drawls] [proudly] Yes.").tags],
    "dealt": dealt,
    "targets": target_tag_shares(),
    "clash": clash("sad", "proud"),
    "written": Counter(tag for script in scripts for tag in tag_names(script.tagged_text)),
    "gates": {gate.name: gate.passed for gate in report.gates},
    "sentences": Counter(tag for s in sentences.write_scripts(pool, 400) for tag in tag_names(s.tagged_text)),
    "prompt": system_prompt(),
    "floor": most_frequent_tag(["[drawls] No.", "[drawls] Yes. [sad] No."]),
    "per_tag": list(score({"a": "[proud] We [yodels] did."}, {"a": "[drawls] We did."}).to_json()["tags"]["per_tag"]),
    "speech": [speech.duration_s, [tag.tag for tag in speech.tags], list(speech.notes)],
    "stage": write("[yodels] Hm.", "stage").text,
}))
"""


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    copy = copy_package(tmp_path_factory.mktemp("package"))
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, env={"PYTHONPATH": str(copy), "PATH": ""}
    )
    assert run.returncode == 0, run.stderr
    found: dict[str, Any] = json.loads(run.stdout)
    return found


def copy_package(folder: Path) -> Path:
    """The package with the new rows in its taxonomy, everything else linked."""
    package = folder / "evoxtral"
    tags = package / "tags"
    tags.mkdir(parents=True)
    for source, target in ((PACKAGE, package), (PACKAGE / "tags", tags)):
        for path in source.iterdir():
            if path.name not in ("tags", "taxonomy.py", "__pycache__"):
                (target / path.name).symlink_to(path)
    text = (PACKAGE / "tags" / "taxonomy.py").read_text("utf-8")
    head, rows, rest = text.partition("_ROWS: tuple[TagType, ...] = (\n")
    assert rows
    (tags / "taxonomy.py").write_text(f"{head}{rows}{ROWS}{rest}", "utf-8")
    return folder


def test_it_is_parsed_by_name_and_alias(rooms: dict[str, Any]) -> None:
    assert rooms["parsed"] == [
        ["yodels", "non-verbal", "song"],
        ["drawls", "delivery", "pace"],
        ["proud", "emotion", "pride"],
    ]


def test_it_is_planned_and_has_a_share(rooms: dict[str, Any]) -> None:
    assert sum(rooms["targets"].values()) == pytest.approx(1)
    total = sum(rooms["dealt"].values())
    for tag in (*NEW, *(row.name for row in TAG_TYPES)):
        assert rooms["dealt"][tag] / total == pytest.approx(rooms["targets"][tag], abs=0.01), tag
    assert rooms["clash"] is True


def test_it_is_written_by_both_offline_writers_and_the_corpus_passes_every_gate(rooms: dict[str, Any]) -> None:
    for tag in NEW:
        assert rooms["written"][tag] >= 30, tag
        assert rooms["sentences"][tag] >= 5, tag
        assert rooms["gates"][f"scripts with [{tag}]"] is True
    assert [name for name, passed in rooms["gates"].items() if not passed] == []


def test_a_language_model_is_told_of_it(rooms: dict[str, Any]) -> None:
    prompt = rooms["prompt"]
    assert "[yodels]: a yodel\n" in prompt
    emotions = re.search(r"The emotions \(([^)]*)\) and ways of speaking \(([^)]*)\)", prompt)
    assert emotions is not None
    assert "proud" in emotions[1].split(", ")
    assert "drawls" in emotions[2].split(", ")


def test_the_bench_counts_it_and_dialects_with_an_open_list_write_it(rooms: dict[str, Any]) -> None:
    assert set(NEW) <= set(rooms["per_tag"])
    assert rooms["floor"] == "drawls"
    assert rooms["stage"] == "*yodels* Hm."


def test_the_local_voice_speaks_the_words_and_says_what_it_has_no_sound_for(rooms: dict[str, Any]) -> None:
    duration_s, tags, notes = rooms["speech"]
    assert duration_s > 0.5
    assert set(NEW) <= set(tags)
    assert [name for name in (*NEW, "coughs") if not any(name in note for note in notes)] == []


def test_the_studio_has_a_name_and_a_colour_for_every_category() -> None:
    names = (STUDIO / "lib" / "categories.ts").read_text("utf-8")
    colours = (STUDIO / "app" / "globals.css").read_text("utf-8")
    for category in Category:
        assert re.search(rf'^  {{ id: "{category}", label: "\w+"', names, re.MULTILINE), category
        assert re.search(rf'^  \[data-tag="{category}"\] {{', colours, re.MULTILINE), category
