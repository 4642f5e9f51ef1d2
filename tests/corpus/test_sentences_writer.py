"""The sentences writer: every word of the pool survives, tags are dealt by plan, pauses are never at the ends."""

from collections import Counter

import pytest

from evoxtral.corpus.writers.sentences import write_scripts
from evoxtral.data.records import SliceType
from evoxtral.errors import CorpusError
from evoxtral.tags import parse, plain_text, strip_tags

POOLS = {
    "one": ["The red kettle sings loudly.", "Nobody waited for the train.", "Come here, please!", "Why not?"],
    "two": ["Seven ships sailed past the harbour.", "Rain fell.", "She answered without looking up."],
}


def test_words_come_from_the_voices_own_pool() -> None:
    for script in write_scripts(POOLS, 200, inside=0, emphasis=False):
        rest = strip_tags(script.tagged_text)
        assert rest
        for sentence in POOLS[str(script.voice)]:
            rest = rest.replace(sentence, "")
        assert rest.strip() == ""


def test_emphasis_changes_capitals_only() -> None:
    scripts = write_scripts(POOLS, 300)
    stressed = [script for script in scripts if any(word.emphasis for word in parse(script.tagged_text).words)]
    assert stressed
    for script in stressed:
        pool_words = {word.lower() for sentence in POOLS[str(script.voice)] for word in sentence.split()}
        assert {word.lower() for word in plain_text(script.tagged_text).split()} <= pool_words


def test_voices_take_turns_and_ids_are_unique() -> None:
    scripts = write_scripts(POOLS, 101, prefix="p")
    assert Counter(script.voice for script in scripts) == {"one": 51, "two": 50}
    assert len({script.id for script in scripts}) == 101
    assert scripts[3].id == "p-00003"


def test_plain_scripts_have_no_tag_and_pauses_stand_between_words() -> None:
    for script in write_scripts(POOLS, 400):
        parsed = parse(script.tagged_text)
        assert all(tag.known for tag in parsed.tags)
        if script.slice_type is SliceType.PLAIN:
            assert not parsed.tags
        for tag in parsed.tags:
            assert tag.name != "pause" or 0 < tag.gap < len(parsed.words)


def test_same_seed_same_scripts() -> None:
    assert write_scripts(POOLS, 50, seed=3) == write_scripts(POOLS, 50, seed=3)
    assert write_scripts(POOLS, 50, seed=3) != write_scripts(POOLS, 50, seed=4)


def test_a_voice_without_sentences_is_an_error() -> None:
    with pytest.raises(CorpusError, match="without sentences"):
        write_scripts({"one": []}, 3)
