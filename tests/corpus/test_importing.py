"""Foreign scripts: what is taken, what is renamed, what is reported."""

import json
from pathlib import Path
from typing import Any

import pytest

from evoxtral.corpus.importing import derive_slice, import_scripts
from evoxtral.data.records import Domain, SliceType
from evoxtral.errors import CorpusError
from evoxtral.tags import dialect_table, parse, strip_tags, tag_names
from evoxtral.tags.dialects import write as write_dialect


def write(path: Path, items: Any) -> Path:
    path.write_text(json.dumps(items, ensure_ascii=False), "utf-8")
    return path


def test_a_list_of_objects_is_imported_and_its_tags_are_reported(tmp_path: Path) -> None:
    file = write(
        tmp_path / "foreign.json",
        [
            {"tagged_text": "[Giggles] Well, that  was [sarcastic] great, [curious] was it?", "domain": "Podcast"},
            {"tagged_text": "Nothing but words, and quite a few.", "id": "mine", "voice": "Rachel", "emotion": 3},
            {"tagged_text": "Nothing but words, and quite a few."},
            {"text": "no such field"},
            "not an object",
            {"tagged_text": "   "},
            {
                "tagged_text": "[sad] Oh no, it is the last one [sarcastic] again.",
                "slice_type": "edge",
                "domain": "opera",
            },
        ],
    )
    report = import_scripts([file], domain=Domain.ARGUMENT)
    first, second, third = report.scripts
    assert first.tagged_text == "[laughs] Well, that was [sarcastic] great, [curious] was it?"
    assert (first.slice_type, first.domain, first.writer) == (SliceType.MODERATE, Domain.PODCAST, "import:foreign.json")
    assert (second.id, second.voice, second.slice_type, second.domain) == (
        "mine",
        "Rachel",
        SliceType.PLAIN,
        Domain.ARGUMENT,
    )
    assert (third.slice_type, third.domain) == (SliceType.EDGE, Domain.ARGUMENT)
    assert report.unknown_tags == {"sarcastic": 2, "curious": 1}
    assert report.renamed_tags == {"Giggles": 1}
    assert report.skipped == {"no tagged_text": 3, "the same text again": 1}


def test_a_set_in_another_dialect_is_read_and_what_it_cannot_say_is_reported(tmp_path: Path) -> None:
    texts = ["[clear_throat] Well, [cough] it is <whispering>over now.</whispering>", "<laughing>Really</laughing> so?"]
    report = import_scripts([write(tmp_path / "a.json", [{"tagged_text": text} for text in texts])], dialect="wesr")
    assert [script.tagged_text for script in report.scripts] == [
        "[clears throat] Well, [coughs] it is [whispers]over now.",
        "[laughs]Really so?",
    ]
    assert report.unknown_tags == {}
    assert report.dialect_notes == {"rescoped <laughing>": 1}


# What each dialect's own table says: a laugh, and a tag that nobody knows where the dialect has a form for any.
DIALECTS = {
    "elevenlabs": ("Well [giggles] yes [gunshot] it is so.", "Well [laughs] yes [gunshot] it is so.", {"gunshot": 1}),
    "wesr": ("Well [laugh] yes it is so.", "Well [laughs] yes it is so.", {}),
    "nvspeech": ("Well [Laughter] yes it is so.", "Well [laughs] yes it is so.", {}),
    "scribe": ("Well (laughter) yes it is so.", "Well [laughs] yes it is so.", {}),
    "orpheus": ("Well <laugh> yes it is so.", "Well [laughs] yes it is so.", {}),
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_tag_of_any_dialect_becomes_ours(tmp_path: Path, dialect: str) -> None:
    written, kept, unknown = DIALECTS[dialect]
    report = import_scripts([write(tmp_path / "a.json", [{"tagged_text": written}])], dialect=dialect)
    assert [script.tagged_text for script in report.scripts] == [kept]
    assert report.unknown_tags == unknown


@pytest.mark.parametrize("dialect", dialect_table.DIALECTS)
def test_a_set_that_we_wrote_in_a_dialect_is_read_back_from_it(tmp_path: Path, dialect: str) -> None:
    texts = ["Well, [laughs] it is over now.", "[sad] I know."]
    items = [{"tagged_text": write_dialect(text, dialect).text} for text in texts]
    report = import_scripts([write(tmp_path / "a.json", items)], dialect=dialect)
    assert [strip_tags(script.tagged_text).lower() for script in report.scripts] == ["well, it is over now.", "i know."]
    for text, script in zip(texts, report.scripts, strict=True):
        if not write_dialect(text, dialect).notes:
            assert tag_names(script.tagged_text) == tag_names(text)


def test_a_dialogue_keeps_its_speakers(tmp_path: Path) -> None:
    turns = [
        {"speaker": "Ann", "tagged_text": "Did you  see it? (laughter)", "voice": "Rachel"},
        {"speaker": "Bob", "tagged_text": "No."},
        {"speaker": "Ann", "tagged_text": " "},
        {"speaker": "Ann", "tagged_text": "Look!"},
    ]
    items = [{"turns": turns, "told": [True], "domain": "argument"}, {"turns": turns[:1], "told": [True, False]}]
    items += [{"turns": [{"speaker": "Ann"}]}, {"turns": "Ann: no"}]
    file = write(tmp_path / "a.json", items)
    report = import_scripts([file], dialect="scribe")
    dialogue, single = report.scripts
    assert dialogue.tagged_text == "Did you see it? [laughs] No. Look!"
    assert [(turn.speaker, turn.tagged_text, turn.voice) for turn in dialogue.turns] == [
        ("Ann", "Did you see it? [laughs]", "Rachel"),
        ("Bob", "No.", None),
        ("Ann", "Look!", None),
    ]
    assert dialogue.told == (True,)
    assert (single.turns, single.told) == ((), None)  # nobody answers; and there is one tag, not two
    assert report.skipped == {"turns are no list of speakers with their texts": 2}
    assert import_scripts([file], keep_voices=False).scripts[0].turns[0].voice is None


def test_lines_and_folders_are_read_too(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.jsonl").write_text(
        '\ufeff{"tagged_text": "One here, right at the start."}\n\n{"tagged_text": "Two."}\n'
    )
    write(folder / "deep" / "b.json", [{"tagged_text": "Three of them, down below."}])
    (folder / "notes.txt").write_text("not a script")
    report = import_scripts([folder])
    assert [script.tagged_text for script in report.scripts] == [
        "One here, right at the start.",
        "Two.",
        "Three of them, down below.",
    ]


def test_what_the_corpus_has_is_not_imported_again(tmp_path: Path) -> None:
    file = write(tmp_path / "a.json", [{"tagged_text": "Only once, please, and no more."}])
    first = import_scripts([file]).scripts
    again = import_scripts([file], existing=first)
    assert again.scripts == []
    assert again.skipped == {"the same text again": 1}


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ({"tagged_text": "Half a smile \ud83d here, not more."}, "half a character (an unpaired surrogate)"),
        ({"tagged_text": "Whole words.", "id": "a\ud800"}, "half a character (an unpaired surrogate)"),
        ({"tagged_text": "[angry]"}, "nothing to say"),
        ({"tagged_text": "[pause] [sarcastic] ..."}, "nothing to say"),
    ],
)
def test_what_nobody_could_speak_or_write_is_skipped(tmp_path: Path, item: dict[str, str], reason: str) -> None:
    (tmp_path / "a.json").write_text(json.dumps([item, {"tagged_text": "[laughs]"}]))
    report = import_scripts([tmp_path / "a.json"])
    assert [script.tagged_text for script in report.scripts] == ["[laughs]"]
    assert report.skipped == {reason: 1}


def test_voices_of_another_engine_can_be_left_behind(tmp_path: Path) -> None:
    file = write(tmp_path / "a.json", [{"tagged_text": "Spoken by anyone.", "voice": "Rachel"}])
    assert import_scripts([file], keep_voices=False).scripts[0].voice is None


def test_a_line_ends_at_a_newline_only(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes('{"tagged_text": "One\u2028two\u0085three."}\r\n'.encode())
    assert [script.tagged_text for script in import_scripts([tmp_path / "a.jsonl"]).scripts] == ["One two three."]


def test_an_id_that_is_taken_gets_a_number(tmp_path: Path) -> None:
    texts = ["First of them all.", "Second of them all.", "Third of them all.", "Fourth of them all."]
    items = [{"id": name, "tagged_text": text} for name, text in zip(("x", "x", "x-2", "x"), texts, strict=True)]
    file = write(tmp_path / "a.json", items)
    report = import_scripts([file])
    assert [script.id for script in report.scripts] == ["x", "x-2", "x-2-2", "x-3"]
    assert [script.tagged_text for script in report.scripts] == texts
    assert report.renamed_ids == {"x to x-2": 1, "x-2 to x-2-2": 1, "x to x-3": 1}
    again = import_scripts([file], existing=report.scripts)
    assert (again.scripts, again.renamed_ids) == ([], {})


@pytest.mark.parametrize(("given", "kept"), [(0, "0"), (17, "17"), ("0", "0"), (1.5, "1.5")])
def test_a_number_is_an_id_too(tmp_path: Path, given: object, kept: str) -> None:
    file = write(tmp_path / "a.json", [{"id": given, "tagged_text": "Something to say here."}])
    assert [script.id for script in import_scripts([file]).scripts] == [kept]


@pytest.mark.parametrize("given", [None, "", True, [], {}])
def test_what_is_no_name_is_replaced_by_one_made_of_the_text(tmp_path: Path, given: object) -> None:
    file = write(tmp_path / "a.json", [{"id": given, "tagged_text": "Something to say here."}])
    (script,) = import_scripts([file]).scripts
    assert script.id.startswith("import-")


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "A.JSONL", "a.txt", "a"])
@pytest.mark.parametrize(
    "content",
    [
        '{"tagged_text": "One of two lines."}\n{"tagged_text": "Two of two lines."}\n',
        '\ufeff{"tagged_text": "One of two lines."}\r\n\r\n{"tagged_text": "Two of two lines."}',
        '[{"tagged_text": "One of two lines."},\n {"tagged_text": "Two of two lines."}]',
        '\ufeff\n  [\n{"tagged_text": "One of two lines."}, {"tagged_text": "Two of two lines."}]\n',
    ],
)
def test_lines_and_lists_are_told_apart_by_content(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content, "utf-8")
    texts = [script.tagged_text for script in import_scripts([tmp_path / name]).scripts]
    assert texts == ["One of two lines.", "Two of two lines."]


def test_files_in_a_folder_are_found_whatever_the_case_of_their_suffix(tmp_path: Path) -> None:
    (tmp_path / "up.JSONL").write_text('{"tagged_text": "Upper case in the suffix."}\n')
    assert len(import_scripts([tmp_path]).scripts) == 1


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", b"{", "line 1: not JSON"),
        ("a.json", b"\xff\xfe", "not UTF-8"),
        ("a.jsonl", b'{"tagged_text": "x"}\n\n{oops}\n', "line 3: not JSON"),
        ("a.json", b"[" * 100_000, "nested too deeply"),
        ("a.json", b'[{"id": ' + b"9" * 5_000 + b"}]", "line 1: not JSON: Exceeds the limit"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CorpusError, match=message) as error:
        import_scripts([tmp_path / name])
    assert str(tmp_path / name) in error.value.message
    assert "\n" not in str(error.value)


def test_a_folder_without_scripts_and_a_missing_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"no \.json"):
        import_scripts([tmp_path])
    with pytest.raises(CorpusError, match="nowhere"):
        import_scripts([tmp_path / "nowhere.json"])


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("I went to the shop and came back.", SliceType.PLAIN),
        ("I went [sighs] to the shop and came back.", SliceType.LIGHT),
        ("[sad] I went [sighs] to the shop and came back.", SliceType.LIGHT),
        ("[sad] I went [sighs] to the shop [pause] and came back.", SliceType.MODERATE),
        ("[sad] I went [sighs] to [gasps] the shop [pause] and came back.", SliceType.MODERATE),
        ("[sad] I [crying] went [sighs] to [gasps] the shop [pause] and came back.", SliceType.DENSE),
        ("[sad] [crying] I went to the shop and came back.", SliceType.EDGE),
        ("[sad] I went to the shop and came back. [crying]", SliceType.EDGE),
        ("[gasps] Oh no, it's gone.", SliceType.EDGE),
        ("word " * 79, SliceType.PLAIN),
        ("word " * 80, SliceType.EDGE),
    ],
)
def test_the_slice_follows_from_the_tags(text: str, kind: SliceType) -> None:
    assert derive_slice(parse(text)) is kind
