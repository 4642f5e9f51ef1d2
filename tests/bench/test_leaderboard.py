import json

import pytest

from evoxtral.bench.leaderboard import read_boards, write_leaderboard
from evoxtral.bench.scoring import score
from evoxtral.errors import ScoreError

REFERENCES = {"a": "[sad] It rained all day.", "b": "[laughs] We went home.", "c": "Plain words here."}
SYSTEMS = {
    "perfect": REFERENCES,
    "half": REFERENCES | {"b": "We went home."},
    "<b>loud</b>": {id: f"[shouts] {text}" for id, text in REFERENCES.items()},
}
TRAINING = [f"[sad] Oh number {index}." for index in range(10)]


@pytest.fixture
def folders(tmp_path):
    made = []
    for index, (name, texts) in enumerate(SYSTEMS.items()):
        folder = tmp_path / f"run-{index}"
        folder.mkdir()
        scores = score(REFERENCES, texts, resamples=20, baseline_texts=TRAINING).to_json()
        (folder / "scores.json").write_text(json.dumps(scores | {"system": {"name": name}}))
        made.append(folder)
    return made


def test_systems_are_ranked_by_tag_f1_and_baselines_shown_once(folders):
    (board,) = read_boards(folders[::-1])
    assert board.title == "3 clips of 3 scripts"
    systems = [entry.name for entry in board.entries if not entry.is_baseline]
    assert systems == ["perfect", "half", "<b>loud</b>"]  # F1 1, 2/3 and 4/7
    assert sorted(entry.name for entry in board.entries if entry.is_baseline) == [
        "most frequent tag",
        "no tags",
        "text-only tagger",
    ]
    assert board.entries[0].figures["wer"].value == 0


def test_other_references_are_another_board(folders, tmp_path):
    other = score({"a": "[sad] Other words."}, {"a": "Other words."}).to_json()
    path = tmp_path / "their system.json"
    path.write_text(json.dumps(other))
    first, second = read_boards([path, *folders])
    assert len(first.entries) == 6
    assert [entry.name for entry in second.entries] == ["their system"]  # no name inside: that of the file


def test_the_page_shows_all_and_names_write_no_html(folders, tmp_path):
    pytest.importorskip("jinja2")
    write_leaderboard(folders, tmp_path / "index.html")
    page = (tmp_path / "index.html").read_text("utf-8")
    assert "<b>loud</b>" not in page
    assert "&lt;b&gt;loud&lt;/b&gt;" in page
    assert page.index(">perfect<") < page.index(">half<")
    for address in ("http://", "https://", "src="):
        assert address not in page.replace("http://www.w3.org/2000/svg", "")


@pytest.mark.parametrize("content", ["[]", "{}", "nonsense", '{"tags": {"f1": 1}}', '{"tags": {"f1": {"value": "x"}}}'])
def test_what_holds_no_scores_is_named(content, tmp_path):
    path = tmp_path / "x.json"
    path.write_text(content)
    with pytest.raises(ScoreError, match=r"x\.json"):
        read_boards([path])
    with pytest.raises(ScoreError, match="cannot read"):
        read_boards([tmp_path])
