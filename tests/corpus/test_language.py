"""The template language: expansion, agreement, inflection, and every template that ships."""

import random

import pytest

from evoxtral.corpus.briefs import Brief
from evoxtral.corpus.writers.composer import MOODS, Composer
from evoxtral.corpus.writers.language import Expander, TemplateError, inflect, tidy
from evoxtral.corpus.writers.situations import load_rules, load_situations
from evoxtral.data.records import Domain, SliceType

RULES = {
    "thing": ("apple", "pear"),
    "person": ("Ana/f", "Ben/m"),
    "whoever": ("<person>",),
    "event": ("lose ~ keys", "catch the train", "carry ~ bag and +drop it"),
    "two words": ("a b",),
}


def expander(seed: int = 0) -> Expander:
    return Expander(RULES, random.Random(seed))


def test_choices_nest_and_may_be_empty() -> None:
    found = {expander(seed).sentence("it is (red|dark (blue|green)|) here") for seed in range(60)}
    assert found == {"It is red here.", "It is dark blue here.", "It is dark green here.", "It is here."}


def test_a_bound_name_stands_for_the_same_thing_and_person_throughout() -> None:
    for seed in range(20):
        text = expander(seed).sentence("<person:who> lost <who.his> <thing:it>, and <who.he> wants the <it>")
        assert text in {
            f"{name} lost {his} {thing}, and {he} wants the {thing}."
            for name, his, he in (("Ana", "her", "she"), ("Ben", "his", "he"))
            for thing in ("apple", "pear")
        }


def test_a_rule_that_only_names_another_passes_its_person_on() -> None:
    texts = {expander(seed).sentence("<whoever:w> and <w.his> dog") for seed in range(20)}
    assert texts == {"Ana and her dog.", "Ben and his dog."}


@pytest.mark.parametrize(
    ("phrase", "form", "person", "expected"),
    [
        ("lose ~ keys", "past", "f", "lost her keys"),
        ("lose ~ keys", "pres", "m", "loses his keys"),
        ("lose ~ keys", "pres", "w", "lose our keys"),
        ("carry ~ bag", "pres", "f", "carries her bag"),
        ("carry ~ bag", "past", "i", "carried my bag"),
        ("watch the game", "pres", "m", "watches the game"),
        ("play", "pres", "m", "plays"),
        ("drop it", "past", "p", "dropped it"),
        ("drop it", "ing", "i", "dropping it"),
        ("open it", "past", "i", "opened it"),
        ("write it", "pp", "i", "written it"),
        ("take it", "ing", "i", "taking it"),
        ("see it", "ing", "i", "seeing it"),
        ("be late", "pres", "f", "is late"),
        ("have it", "pres", "f", "has it"),
        ("+cook it and +eat it", "past", "i", "cooked it and ate it"),
        ("finally +understand it", "pres", "f", "finally understands it"),
        ("cancel the show", "past", "i", "cancelled the show"),
    ],
)
def test_verb_phrases_agree_with_their_subject(phrase: str, form: str, person: str, expected: str) -> None:
    assert inflect(phrase, form, person) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a apple  and a pear , a hour , a university", "An apple and a pear, an hour, a university."),
        ("wait! who is it? it is me", "Wait! Who is it? It is me."),
        ("a one-eyed owl, a old owl, a umbrella, a European", "A one-eyed owl, an old owl, an umbrella, a European."),
        ('he said, "go."', 'He said, "go."'),
    ],
)
def test_sentences_are_tidied(text: str, expected: str) -> None:
    assert tidy(text) == expected


@pytest.mark.parametrize("template", ["(a|b", "a) b", "a | b", "<thing", "<no such rule>", "<nobody.his> hat"])
def test_malformed_templates_are_refused(template: str) -> None:
    with pytest.raises(TemplateError):
        expander().sentence(template)


def test_every_template_that_ships_expands_into_plain_sentences() -> None:
    brief = Brief(SliceType.PLAIN, Domain.PODCAST)
    count = 0
    for situations in load_situations().values():
        for situation in situations:
            assert set(situation.sentences) <= {"neutral", "want", *MOODS}, situation.name
            for lines in situation.sentences.values():
                for line in lines:
                    for seed in range(2):
                        language = Composer(brief, situation, random.Random(seed)).language
                        _assert_plain(language.sentence(line), line)
                        count += 1
    situation = load_situations()[Domain.PODCAST][0]
    for name, lines in load_rules().items():
        if "stressed" in name or name == "openers":
            continue  # lists of words
        for line in lines:
            language = Composer(brief, situation, random.Random(line)).language
            language.bound["q"] = language.expand("<name>")
            text = language.expand(line).text
            if name.endswith((".good", ".bad", ".do")):
                text = inflect(text, "past", "m")
            _assert_plain(tidy(text), line)
            count += 1
    assert count > 2_500


def _assert_plain(text: str, template: str) -> None:
    assert not set("<>()|[]~+@/_") & set(text), (template, text)
    assert "  " not in text, (template, text)
    assert not any(character.isdigit() for character in text), (template, text)
    assert text[0].isupper() or text[0] == '"', (template, text)
    assert text[-1] in '.!?"', (template, text)


def test_situations_are_many_and_of_all_domains() -> None:
    situations = load_situations()
    assert set(situations) == set(Domain)
    assert min(map(len, situations.values())) >= 6
    names = [situation.name for group in situations.values() for situation in group]
    assert len(names) == len(set(names)) >= 56
