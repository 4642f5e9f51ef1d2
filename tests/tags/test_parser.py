import sys
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evoxtral.tags import (
    TAG_TYPES,
    Category,
    Scope,
    Tag,
    insert_tags,
    lookup,
    normalise_tags,
    parse,
    plain_text,
    render,
    strip_tags,
    tag_names,
)
from evoxtral.tags.parser import MAX_NAME_CHARACTERS

NAMES = [tag_type.name for tag_type in TAG_TYPES]
# Any Unicode, and texts dense with what the language is made of.
any_text = st.text() | st.lists(
    st.sampled_from(
        [
            "[",
            "]",
            "[]",
            "[laughs]",
            "[sings]",
            "[INST]",
            "[unclosed",
            "[[",
            "]]",
            "[Sad ]",
            " ",
            "\n",
            "\n\n",
            "...",
            "…",
            "—",
            "--",
            ".",
            "!",
            "?",
            ",",
            '"',
            "word",
            "NO",
            "TV",
            "I",
            "I'm",
            "Mr.",
            "a",
            "1",
            "[1]",
            "'",
            "-",
            "\x00",
        ]
    )
).map("".join)
word_texts = st.sampled_from(
    ["so", "Well,", "I", "can't", "BELIEVE", "NASA", "done.", "what?", "wait...", '"quoted"', "it's"]
)


@given(any_text)
def test_parsing_is_lossless(text):
    parsed = parse(text)
    assert render(parsed) == text == parsed.source


@given(any_text)
def test_parts_lie_where_they_say(text):
    parsed = parse(text)
    assert [text[item.start : item.end] for item in parsed.items] == [item.text for item in parsed.items]
    assert [text[word.start : word.end] for word in parsed.words] == [word.text for word in parsed.words]
    assert all(first.end <= second.start for first, second in pairwise(parsed.words))
    assert parsed.tags == tuple(item for item in parsed.items if isinstance(item, Tag))
    for tag in parsed.tags:
        assert tag.gap == sum(word.end <= tag.start for word in parsed.words)
        assert tag.known == (lookup(tag.name) is not None) == (tag.category is not None) == (tag.group is not None)


@given(any_text)
def test_every_letter_and_digit_belongs_to_a_word_or_a_tag(text):
    parsed = parse(text)
    covered = {i for part in (*parsed.words, *parsed.tags) for i in range(part.start, part.end)}
    assert all(i in covered for i, character in enumerate(text) if character.isalnum())
    assert all(any(character.isalnum() for character in word.text) for word in parsed.words)
    assert all(not any(character.isspace() for character in word.text) for word in parsed.words)


@given(any_text)
def test_scopes_and_gaps_stay_in_the_text(text):
    parsed = parse(text)
    colouring = [i for i, tag in enumerate(parsed.tags) if tag.category in (Category.EMOTION, Category.DELIVERY)]
    assert [scope.tag for scope in parsed.scopes] == colouring
    for scope in parsed.scopes:
        assert parsed.tags[scope.tag].gap == scope.first_word <= scope.last_word <= len(parsed.words)
    assert all(0 <= gap <= len(parsed.words) for gap in parsed.ellipses)
    assert list(parsed.ellipses) == sorted(parsed.ellipses)


@given(any_text)
def test_normalising_tags_changes_no_word_and_is_idempotent(text):
    once = normalise_tags(text)
    assert normalise_tags(once) == once
    assert tag_names(once) == tag_names(text)
    assert [word.text for word in parse(once).words] == [word.text for word in parse(text).words]


@given(st.text(alphabet=st.characters(exclude_characters="[]")))
def test_text_without_brackets_is_all_text(text):
    assert tag_names(text) == []
    assert strip_tags(text) == text


@given(st.lists(word_texts), st.data())
def test_inserted_tags_are_found_where_they_were_put(words, data):
    text = " ".join(words)
    gaps = st.tuples(st.integers(0, len(words)), st.sampled_from(NAMES))
    tags = sorted(data.draw(st.lists(gaps, max_size=6)), key=lambda tag: tag[0])
    tagged = insert_tags(text, tags)
    assert [(tag.gap, tag.name) for tag in parse(tagged).tags] == tags
    assert strip_tags(tagged) == text
    assert plain_text(tagged) == plain_text(text)
    assert [word.text for word in parse(tagged).words] == words


@given(st.lists(word_texts | st.sampled_from(["[laughs]", "[sings]", ",", "—"])))
def test_plain_text_has_the_same_words(items):
    parsed = parse(" ".join(items))
    plain = parse(parsed.plain_text)
    assert [word.plain for word in parsed.words] == [word.text for word in plain.words]
    assert plain.tags == ()
    # A text of capitals stays as it is; in any other no stress is left.
    assert plain.emphasised == ()


@pytest.mark.parametrize(
    "text",
    [
        "[",
        "]",
        "[]",
        "[ ]",
        "[unclosed",
        "unopened]",
        "[1]",
        "[a]",
        "[INST]",
        "[/INST]",
        "[NAME]",
        "[BEGIN_AUDIO]",
        "[pause 2s]",
        "[two\nlines]",
        "(laughs)",
        "<s>",
        "[" + "x" * (MAX_NAME_CHARACTERS + 1) + "]",
        "[--]",
        "[laughs",
    ],
)
def test_what_is_no_tag_is_text(text):
    parsed = parse(text)
    assert parsed.tags == ()
    assert parsed.plain_text == strip_tags(text) == text


def test_known_and_unknown_tags():
    known, shouted, alias, unknown = parse("[laughs] [LAUGHS] [ Starts  laughing ] [Strong French accent]").tags
    assert [known.name, shouted.name, alias.name] == ["laughs"] * 3
    assert (alias.text, alias.category, alias.group, alias.known) == (
        "[ Starts  laughing ]",
        Category.NON_VERBAL,
        "laughter",
        True,
    )
    assert (unknown.name, unknown.category, unknown.group, unknown.known) == ("strong french accent", None, None, False)


def test_the_inner_brackets_of_nested_ones_are_the_tag():
    assert tag_names("[[laughs]]") == ["laughs"]
    assert tag_names("[sad [laughs] end]") == ["laughs"]


def test_gaps_count_the_words_before():
    parsed = parse("[sad]So [sighs] — [pause], it's over...[crying]")
    assert [(tag.name, tag.gap) for tag in parsed.tags] == [("sad", 0), ("sighs", 1), ("pause", 1), ("crying", 3)]


def test_words_end_at_white_space_ellipses_dashes_and_tags():
    words = [word.text for word in parse("Well-known—wait...what --no…[laughs]3.5 e.g. 'tis ...and on[sad]on !").words]
    assert words == ["Well-known—", "wait...", "what", "--no…", "3.5", "e.g.", "'tis", "...and", "on", "on"]


def test_ellipses_are_exposed_with_their_gap():
    assert parse("...so... it is… two.. dots [pause] ... end").ellipses == (0, 1, 3, 5)


def test_emphasis_in_mixed_text():
    parsed = parse("NASA and I said NO to the TV, OK? GET out at 9 AM!")
    assert [parsed.words[index].text for index in parsed.emphasised] == ["NO", "GET"]
    assert parsed.plain_text == "NASA and I said no to the TV, OK? Get out at 9 AM!"


def test_text_in_capitals_is_not_emphasis():
    parsed = parse("[shouts] GET OUT OF HERE! [angry] NOW!")
    assert parsed.emphasised == ()
    assert parsed.plain_text == "GET OUT OF HERE! NOW!"


@pytest.mark.parametrize(
    ("tagged", "stripped"),
    [
        ("[excited] I can't BELIEVE it! [laughs] Well.", "I can't BELIEVE it! Well."),
        ("Hello [laughs].", "Hello."),
        ("Hello [laughs], world", "Hello, world"),
        ("Hello [laughs] — world", "Hello — world"),
        ("Hello[laughs]world", "Hello world"),
        ('He said "[whispers] go," twice', 'He said "go," twice'),
        ("so [sighs] ...and then", "so ...and then"),
        ("one [sad] [pause]  two", "one two"),
        ("one\n\n[sad] two", "one\n\ntwo"),
        ("  kept  spaces ", "  kept  spaces "),
        ("[laughs]", ""),
        ("end [laughs] ", "end"),
    ],
)
def test_spacing_is_mended_where_tags_stood(tagged, stripped):
    assert strip_tags(tagged) == stripped


def scopes(text: str) -> list[tuple[str, str]]:
    parsed = parse(text)
    return [
        (parsed.tags[scope.tag].name, " ".join(word.text for word in parsed.words[scope.first_word : scope.last_word]))
        for scope in parsed.scopes
    ]


def test_a_scope_holds_until_the_end_of_the_sentence():
    assert scopes("Oh. [sad] He left. She stayed.") == [("sad", "He left.")]
    assert scopes("She said [whispers] come here! And he came.") == [("whispers", "come here!")]


def test_a_scope_holds_until_the_next_tag_of_its_category():
    text = "[sad] It was [whispers] all [sighs] mine [angry] until you [shouts] came home."
    assert scopes(text) == [
        ("sad", "It was all mine"),
        ("whispers", "all mine until you"),
        ("angry", "until you came home."),
        ("shouts", "came home."),
    ]


def test_a_scope_without_words_is_empty():
    assert parse("It ended. [sad]").scopes == (Scope(0, 2, 2),)
    assert parse("[sad]").scopes == (Scope(0, 0, 0),)


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Mr. Smith of the U.S. team left. He ran", ["Mr. Smith of the U.S. team left.", "He ran"]),
        ("Well... I mean… no.... Yes", ["Well... I mean… no....", "Yes"]),
        ('"Go!" he said. "Really?!" [laughs] Yes', ['"Go!"', "he said.", '"Really?!"', "Yes"]),
        ("It was I. Then\n\nA title\nwith a break", ["It was I.", "Then", "A title with a break"]),
        ("It costs 3.5 dollars .  Fine", ["It costs 3.5 dollars", "Fine"]),
    ],
)
def test_sentences(text, sentences):
    parsed = parse(text)
    starts = sorted({0, *parsed.sentence_ends})
    assert [" ".join(word.text for word in parsed.words[a:b]) for a, b in pairwise(starts)] == sentences


def test_inserting_outside_the_text_is_refused():
    with pytest.raises(ValueError, match="gap 2"):
        insert_tags("one", [(2, "sad")])


def test_a_name_is_the_same_composed_or_not_and_with_spaces_that_do_not_break():
    composed, decomposed = parse("[\u00e9mu] [e\u0301mu]").tags
    assert composed.name == decomposed.name == "\u00e9mu"
    assert [tag.name for tag in parse("[clears\u00a0throat] [clears\u202fthroat]").tags] == ["clears throat"] * 2


def test_aliases_become_canonical_and_unknown_tags_stay():
    assert normalise_tags("[Giggles] so [Sings] [short pause] on") == "[laughs] so [Sings] [pause] on"


class CountingText(str):
    """A string that counts the characters which its searches and slices look at."""

    work = 0

    def find(self, needle, start=0, end=None):
        found = super().find(needle, start, len(self) if end is None else end)
        CountingText.work += (len(self) if found == -1 else found) - start + 1
        return found

    def rfind(self, needle, start=0, end=None):
        found = super().rfind(needle, start, end)
        CountingText.work += end - (start if found == -1 else found)
        return found

    def __getitem__(self, key):
        piece = super().__getitem__(key)
        CountingText.work += len(piece)
        return piece


def work_to_parse(text: str) -> int:
    """Characters searched and copied, plus lines of Python run, for one parse with everything derived from it."""
    CountingText.work = 0
    lines = 0

    def count(frame, event, argument):
        nonlocal lines
        lines += event == "line" and "evoxtral" in frame.f_code.co_filename
        return count

    previous = sys.gettrace()
    sys.settrace(count)
    try:
        parsed = parse(CountingText(text))
        assert parsed.scopes is not None
        assert parsed.plain_text is not None
    finally:
        sys.settrace(previous)
    return CountingText.work + lines


@pytest.mark.parametrize(
    "unit",
    [
        "[",
        "]",
        "[]",
        "[a",
        "a]",
        "[[]",
        "[ab]",
        "[sad]",
        "[sad] ",
        "[a[b]",
        "a…",
        "~…",
        "...",
        "-.",
        "a-",
        "NO. ",
        "no. ",
        '"',
        "[sad]\n\n",
    ],
)
def test_work_grows_linearly_with_hostile_text(unit):
    small, large = work_to_parse(unit * 500), work_to_parse(unit * 4000)
    assert large <= 8.2 * small + 200
