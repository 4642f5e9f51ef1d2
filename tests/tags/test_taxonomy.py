import pytest

from evoxtral.tags import CANONICAL, TAG_TYPES, Category, lookup

SPEC_TAGS = {
    Category.EMOTION: {"excited", "sad", "angry", "nervous", "calm", "frustrated"},
    Category.NON_VERBAL: {"laughs", "sighs", "gasps", "clears throat", "crying"},
    Category.DELIVERY: {"whispers", "shouts", "stammers"},
    Category.PAUSE: {"pause"},
}


def test_the_fifteen_tags_stand_in_their_categories():
    assert {c: {t.name for t in TAG_TYPES if t.category is c} for c in Category} == SPEC_TAGS


def test_every_alias_has_one_canonical_tag():
    names = [name for tag_type in TAG_TYPES for name in (tag_type.name, *tag_type.aliases)]
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
        ("speaking softly", "whispers"),
        ("exhales", "sighs"),
        ("exhales sharply", "sighs"),
        ("sighs wearily", "sighs"),
        ("inhales deeply", "gasps"),
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
