import pytest

from evoxtral.corpus.writers.situations import load_rules
from evoxtral.tags import CANONICAL, RELATED_EVENTS, TAG_TYPES, USES, Category, Frequency, lookup, normalise_tags, parse

SPEC_TAGS = {
    Category.EMOTION: {"excited", "sad", "angry", "nervous", "calm", "frustrated"},
    Category.NON_VERBAL: {"laughs", "sighs", "gasps", "clears throat", "crying"},
    Category.DELIVERY: {"whispers", "shouts", "stammers"},
    Category.PAUSE: {"pause"},
}


def test_the_fifteen_tags_stand_in_their_categories():
    assert {c: {t.name for t in TAG_TYPES if t.category is c} for c in Category} == SPEC_TAGS


def test_every_alias_has_one_canonical_tag():
    names = [name for row in (*TAG_TYPES, *RELATED_EVENTS) for name in (row.name, *row.aliases)]
    assert len(names) == len(set(names)) == len(CANONICAL)
    assert all(name == name.lower().strip() for name in names)


@pytest.mark.parametrize(
    ("group", "members"),
    [
        ("laughter", {"laughs", "giggles", "chuckles", "laughing"}),
        ("sadness", {"sad", "crying", "sorrowful"}),
        ("breath", {"sighs", "gasps", "exhales"}),
        ("loud", {"shouts", "yells"}),
        ("quiet", {"whispers", "murmurs"}),
        ("anger", {"angry", "frustrated"}),
    ],
)
def test_groups_of_the_specification(group, members):
    assert {CANONICAL[name].group for name in members} == {group}


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("laughs", "laughs"),
        ("  LAUGHS ", "laughs"),
        ("laughing", "laughs"),
        ("laughs harder", "laughs"),
        ("starts laughing", "laughs"),
        ("starts laughing harder", "laughs"),
        ("wheezing", "laughs"),
        ("nervous laugh", "laughs"),
        ("laughs nervously", "laughs"),
        ("whispering", "whispers"),
        ("sighs wearily", "sighs"),
        ("inhales sharply", "gasps"),
        ("sharp intake of breath", "gasps"),
        ("short pause", "pause"),
        ("long  pause", "pause"),
        ("Clears Throat", "clears throat"),
        ("clears his throat", "clears throat"),
        ("in an angry voice", "angry"),
        ("angrily shouts", "shouts"),
        ("sounding sad", "sad"),
        ("nervously", "nervous"),
        ("sobbing", "crying"),
        ("stutters", "stammers"),
    ],
)
def test_written_forms_find_their_tag(written, canonical):
    found = lookup(written)
    assert found is not None
    assert found.name == canonical


@pytest.mark.parametrize(
    "name", ["", "  ", "sings", "gunshot", "strong French accent", "sarcastic", "with a", "really"]
)
def test_other_names_are_unknown(name):
    assert lookup(name) is None


def test_a_very_long_name_is_unknown():
    assert lookup("softly " * 100_000 + "laughs") is None


@pytest.mark.parametrize(
    ("written", "name", "group"),
    [
        ("cough", "coughs", "throat"),
        ("dry cough", "coughs", "throat"),
        ("inhale", "inhales", "breath"),
        ("inhales deeply", "inhales", "breath"),
        ("takes a deep breath", "inhales", "breath"),
        ("exhales", "exhales", "breath"),
        ("breathing heavily", "breathes", "breath"),
        ("sniff", "sniffs", "breath"),
        ("panting", "pants", "breath"),
        ("mumbling", "murmurs", "quiet"),
        ("speaking softly", "softly", "quiet"),
        ("screaming", "screams", "loud"),
        ("cheerfully", "happy", "joy"),
        ("terrified", "afraid", "fear"),
    ],
)
def test_a_related_event_keeps_its_own_name_within_its_group(written, name, group):
    (tag,) = parse(f"[{written}]").tags
    assert (tag.name, tag.group, tag.known) == (name, group, True)
    assert name not in {row.name for row in TAG_TYPES}
    assert group in {row.group for row in TAG_TYPES}
    assert normalise_tags(f"[{written}] Well.") == f"[{name}] Well."


def test_rows_name_only_tags_of_the_language_and_moods_that_texts_have():
    names, moods = set(USES), set(load_rules())
    for name, use in USES.items():
        assert {*use.companions, *use.clashes} <= names - {name}
        assert {*use.moods, *use.jarring} <= moods
        assert not set(use.moods) & set(use.jarring)
        assert not set(use.companions) & set(use.clashes)
        assert use.weight > 0
        assert use.frequency is not Frequency.LOWERED or use.natural_rate
    assert all(row.meaning for row in (*TAG_TYPES, *RELATED_EVENTS))
