"""Dialects: hand-worked texts both ways, and that nothing is lost or changed without a note."""

import random
import string
from itertools import pairwise

import pytest

from evoxtral.tags import RELATED_EVENTS, TAG_TYPES, parse
from evoxtral.tags.dialects import DIALECTS, DialectText, NoteKind, read, write

OTHERS = [name for name in DIALECTS if name != "elevenlabs"]


def kinds(result: DialectText) -> list[tuple[str, str]]:
    return [(note.kind, note.what) for note in result.notes]


@pytest.mark.parametrize(
    ("dialect", "theirs", "ours"),
    [
        ("elevenlabs", "[laughs harder] No [odd thing] way.", "[laughs harder] No [odd thing] way."),
        (
            "wesr",
            "[clear_throat] Well. <whispering>Come here.</whispering>",
            "[clears throat] Well. [whispers]Come here.",
        ),
        ("wesr", "[cough] [inhale] [crowd_laughter] Right.", "[coughs] [inhales] [crowd laughter] Right."),
        ("nvspeech", "[Laughter] So [Breathing] now [Question-ah]", "[laughs] So [breathes] now [question-ah]"),
        ("scribe", "Hello (laughter) there (footsteps)", "Hello [laughter] there [footsteps]"),
        ("voxtral-tts", "[emotion=happy][pace=slow]We passed!", "[happy][slowly]We passed!"),
        ("voxtral-tts", "[emotion=sad]So. [emotion=neutral]Then.", "[sad]So. Then."),
        ("orpheus", "Oh <laugh> my <sniffle>, so.", "Oh [laughs] my [sniffs], so."),
        ("fish", "(happy)Hello (break) there. (sobbing)", "[happy]Hello [pause] there. [crying]"),
        ("chatterbox", "[clear throat] Yes [groan] no [shush]", "[clears throat] Yes [moans] no [shushes]"),
        ("bark", "[laughter] I... [sighs] no", "[laughter] I... [sighs] no"),
        ("stage", "*laughs* No, *sighs* no.", "[laughs] No, [sighs] no."),
        (
            "ssml",
            '<speak><mstts:express-as style="sad">Fish &amp; <emphasis>no</emphasis> chips.</mstts:express-as> '
            '<break/> <amazon:effect name="whispered">Oh.</amazon:effect></speak>',
            "[sad]Fish & NO chips. [pause] [whispers]Oh.",
        ),
    ],
)
def test_both_ways_by_hand(dialect: str, theirs: str, ours: str) -> None:
    assert read(theirs, dialect) == DialectText(ours, ())
    assert write(ours, dialect) == DialectText(theirs, ())


def test_stage_directions_in_round_brackets_are_read_too() -> None:
    assert read("(sighs) Fine (see page 3), *really* fine.", "stage").text == (
        "[sighs] Fine (see page 3), *really* fine."
    )


def test_what_a_dialect_lacks_is_left_out_with_a_note_and_the_space_mended() -> None:
    written = write("Well, [nervous] I [laughs] am[pause]not sure. [sad]", "orpheus")
    assert written.text == "Well, I <laugh> am not sure. "
    assert kinds(written) == [("left out", "[nervous]"), ("left out", "[pause]"), ("left out", "[sad]")]


def test_a_kind_of_laugh_that_a_dialect_lacks_becomes_a_laugh_with_a_note() -> None:
    assert kinds(write("[chuckles] So.", "bark")) == [("renamed", "[chuckles]")]
    assert write("[chuckles] So.", "chatterbox") == DialectText("[chuckle] So.", ())


def test_a_cough_never_becomes_a_cleared_throat_nor_an_inhale_a_gasp() -> None:
    for dialect, text in (("orpheus", "<cough>"), ("wesr", "[cough]"), ("scribe", "(coughs)"), ("stage", "*coughs*")):
        assert [tag.name for tag in parse(read(text, dialect).text).tags] == ["coughs"]
    assert [tag.name for tag in parse(read("[inhale]", "wesr").text).tags] == ["inhales"]
    assert write("[coughs] [inhales] Hm.", "bark").text == "Hm."


def test_a_mark_around_several_sentences_is_repeated_and_comes_back_as_one() -> None:
    theirs = "<whispering>Come here. Sit down.</whispering> Now."
    result = read(theirs, "wesr")
    assert result == DialectText("[whispers]Come here. [whispers] Sit down. Now.", ())
    assert write(result.text, "wesr").text == "<whispering>Come here. Sit down.</whispering> Now."


@pytest.mark.parametrize(
    ("dialect", "theirs", "ours", "noted"),
    [
        ("wesr", "<whispering>Come</whispering> here.", "[whispers]Come here.", ("rescoped", "<whispering>")),
        ("wesr", "<laughing>Come</laughing> here.", "[laughingly]Come here.", ("rescoped", "<laughing>")),
        ("wesr", "<whispering>Come here.", "[whispers]Come here.", ("rescoped", "<whispering>")),
        ("wesr", "Come</whispering> here.", "Come here.", ("left out", "</whispering>")),
        ("wesr", "[sings_badly] La.", "[sings badly] La.", ("unlisted", "[sings_badly]")),
        ("voxtral-tts", "[emotion=curious]Oh?", "[curious]Oh?", ("unlisted", "[emotion=curious]")),
        ("orpheus", "It says [laughs] here.", "It says [laughs] here.", ("ambiguous", "[laughs]")),
        ("ssml", 'A<break time="2s"/>b.', "A[pause]b.", ("renamed", '<break time="2s"/>')),
        ("ssml", '<prosody rate="slow">Hm.</prosody>', "Hm.", ("left out", '<prosody rate="slow">')),
        ("ssml", "I am SO tired.", "I am SO tired.", ("ambiguous", "SO")),
        ("ssml", "It was <emphasis>I</emphasis> who did.", "It was I who did.", ("left out", "<emphasis>")),
    ],
)
def test_what_cannot_be_said_here_is_told(dialect: str, theirs: str, ours: str, noted: tuple[str, str]) -> None:
    result = read(theirs, dialect)
    assert result.text == ours
    assert noted in kinds(result)


@pytest.mark.parametrize(
    ("dialect", "ours", "noted"),
    [
        ("wesr", "Come here. [whispers]", ("left out", "[whispers]")),
        ("fish", "I said, [sad] come here.", ("left out", "[sad]")),
        ("scribe", "He wrote (laughs) below.", ("ambiguous", "(laughs)")),
        ("scribe", "[sad] I know.", ("left out", "[sad]")),
        ("ssml", "That is un-BE-lievable.", ("renamed", "un-BE-lievable.")),
        ("ssml", "[whispers] No, [sad] no, [shouts] no! [laughs]", ("left out", "[laughs]")),
    ],
)
def test_what_cannot_be_said_there_is_told(dialect: str, ours: str, noted: tuple[str, str]) -> None:
    assert noted in kinds(write(ours, dialect))


def test_marks_of_markup_never_cross() -> None:
    written = write("[sad] No, [whispers] no, [angry] NO, not you.", "ssml")
    open_elements: list[str] = []
    for piece in written.text.split("<")[1:]:
        element = piece.partition(">")[0]
        if element.startswith("/"):
            assert open_elements.pop() == element[1:]
        elif not element.endswith("/"):
            open_elements.append(element.split()[0])
    assert open_elements == []
    assert ("rescoped", "[whispers]") in kinds(written)


def test_every_tag_has_a_place_in_some_dialect_and_names_are_unique_within_each() -> None:
    listed = {name for row in DIALECTS.values() for mark in row.marks for name in mark.names}
    assert {row.name for row in TAG_TYPES} - listed == {"stammers"}  # ours, stage directions and the v3 voices only
    for row in DIALECTS.values():
        names = [name for mark in row.marks for name in mark.names]
        assert len(names) == len(set(names)), row.name
        texts = [mark.text.lower() for mark in row.marks]
        assert len(texts) == len(set(texts)), row.name
        for mark in row.marks:
            assert parse(f"[{mark.names[0]}]").tags, mark


# --- fuzz ------------------------------------------------------------------------------------------------------------

WORDS = ("we", "it", "don't", "Paris,", "no...", "why?", "Yes!", "done.", "REALLY", "I", "NASA", "well—so", "Dr.", "ok")
NOISE = ("(", ")", "<b>", "*", "[", "]", "[1]", "&", "<", "(see 3)", "[laughs", "/>", "&amp;", "=", "</whispering>")
NAMES = (
    *(name for row in (*TAG_TYPES, *RELATED_EVENTS) for name in (row.name, *row.aliases[:2])),
    *("sings", "crowd laughter", "footsteps"),
)


@pytest.fixture
def fuzzed(request: pytest.FixtureRequest) -> int:
    """How many random texts of each dialect are tried; the nightly workflow tries ten thousand."""
    return int(request.config.getoption("--dialect-texts"))


@pytest.fixture
def fuzz_seed(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--seed"))


def ours(rng: random.Random, noise: float) -> str:
    """A tagged text of ours; with noise, marks and brackets stand in its words."""
    pieces = []
    for _ in range(rng.randint(0, 14)):
        draw = rng.random()
        pieces.append(
            f"[{rng.choice(NAMES)}]" if draw < 0.35 else rng.choice(NOISE) if draw < 0.35 + noise else rng.choice(WORDS)
        )
        pieces.append("" if rng.random() < 0.05 else " ")
    return "".join(pieces)


def theirs(rng: random.Random, dialect: str) -> str:
    """A text of a dialect: its marks, in any order, closed or not, between words and noise."""
    row = DIALECTS[dialect]
    marks = [text for mark in row.marks for text in (mark.text, mark.end) if text] + [end for _, end in row.switches]
    marks += [row.template.format("sighs")] if row.template else ["[odd]"]
    pieces = []
    for _ in range(rng.randint(0, 12)):
        draw = rng.random()
        pieces.append(rng.choice(marks) if draw < 0.4 else rng.choice(NOISE) if draw < 0.5 else rng.choice(WORDS))
        pieces.append("" if rng.random() < 0.1 else " ")
    return "".join(pieces)


def check_there_and_back(text: str, dialect: str) -> None:
    """What ours says and no note names is there when it comes back: every word, every tag at its place."""
    there = write(text, dialect)
    back = read(there.text, dialect)
    before, after = parse(text), parse(back.text)
    told = {note.at for note in there.notes if note.kind in (NoteKind.LEFT_OUT, NoteKind.RENAMED)}
    if any(note.kind is NoteKind.AMBIGUOUS for note in (*there.notes, *back.notes)):
        return  # the text holds marks of the dialect: told, and not to be told apart from marks any more
    if before.words:
        assert [word.plain for word in after.words] == [word.plain for word in before.words] or any(
            note.kind is NoteKind.LEFT_OUT and note.at < len(text) for note in back.notes
        )
    kept = [(tag.gap, tag.name) for tag in before.tags if tag.start not in told]
    found = [(tag.gap, tag.name) for tag in after.tags]
    if any(note.kind is NoteKind.RESCOPED for note in there.notes):
        assert set(kept) <= set(found)
        return
    renamed = [tag for tag in before.tags if tag.start in told]
    for item in kept:
        assert item in found
        found.remove(item)
    for _, name in found:  # of what else is there, each is a tag of which was told that it has another name
        match = next((tag for tag in renamed if tag.name == name), None)
        assert match is not None
        renamed.remove(match)


def check_back_and_there(text: str, dialect: str) -> bool:
    """Whether a dialect's text has no note either way; then it says the same when it is written and read again."""
    first = read(text, dialect)
    again = write(first.text, dialect)
    if first.notes or again.notes:
        return False
    second = read(again.text, dialect)
    before, after = parse(first.text), parse(second.text)
    assert not second.notes, text
    assert [word.text for word in after.words] == [word.text for word in before.words], text
    assert [(tag.gap, tag.name) for tag in after.tags] == [(tag.gap, tag.name) for tag in before.tags], text
    return True


@pytest.mark.parametrize("dialect", OTHERS)
def test_what_can_be_said_survives_and_the_rest_is_told(dialect: str, fuzzed: int, fuzz_seed: int) -> None:
    rng = random.Random(f"there:{dialect}:{fuzz_seed}")
    for _ in range(fuzzed):
        text = ours(rng, noise=0.0 if rng.random() < 0.7 else 0.2)
        try:
            check_there_and_back(text, dialect)
        except AssertionError:
            raise AssertionError(f"{dialect}: {text!r} -> {write(text, dialect)}") from None


@pytest.mark.parametrize("dialect", OTHERS)
def test_a_text_of_a_dialect_that_reads_without_a_note_comes_back_as_it_was(
    dialect: str, fuzzed: int, fuzz_seed: int
) -> None:
    rng = random.Random(f"back:{dialect}:{fuzz_seed}")
    plain = sum(check_back_and_there(theirs(rng, dialect), dialect) for _ in range(fuzzed))
    assert plain > fuzzed / 20


@pytest.mark.parametrize("dialect", list(DIALECTS))
def test_any_string_is_read_and_written(dialect: str, fuzzed: int, fuzz_seed: int) -> None:
    rng = random.Random(f"any:{dialect}:{fuzz_seed}")
    characters = string.ascii_letters + "  []()<>*/=&;\"'\n.!?…—ıß\U0001f600\ud800"
    for _ in range(fuzzed // 2):
        text = "".join(rng.choices(characters, k=rng.randint(0, 40)))
        for result in (read(text, dialect), write(text, dialect)):
            assert isinstance(result.text, str)
            assert all(0 <= note.at <= len(text) for note in result.notes)
            assert all(a.at <= b.at for a, b in pairwise(result.notes))


@pytest.mark.parametrize("dialect", OTHERS)
def test_a_hundred_kilobytes_of_marks_that_end_nowhere_are_read_and_written(dialect: str) -> None:
    for text in ("[" * 100_000, "<" * 100_000, "(*" * 50_000, "[sad] no. " * 5_000, "<whispering>a " * 5_000):
        for result in (read(text, dialect), write(text, dialect)):
            assert len(parse(result.text).words) >= len(parse(text).words) - 5_000
