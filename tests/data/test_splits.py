"""Splits: stratified, stable, and without the same words or a held-out voice on both sides."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evoxtral.data.corpus_config import CorpusConfig, DatasetConfig, SynthesisConfig
from evoxtral.data.records import Domain, Script, SliceType
from evoxtral.data.splits import divide_by_voices, draw_splits, may_speak
from evoxtral.errors import CorpusError


def make_script(number: int, kind: SliceType = SliceType.PLAIN, text: str | None = None) -> Script:
    return Script(
        id=f"s{number}",
        tagged_text=text or f"This is number {number}.",
        slice_type=kind,
        domain=Domain.PODCAST,
        writer="test",
    )


@given(
    sizes=st.lists(st.integers(0, 120), min_size=5, max_size=5),
    test=st.sampled_from([0.0, 0.05, 0.1, 0.25, 0.5]),
    validation=st.sampled_from([0.0, 0.1, 0.3]),
    seed=st.integers(0, 5),
)
@settings(max_examples=60, deadline=None)
def test_each_slice_is_divided_by_the_shares(sizes: list[int], test: float, validation: float, seed: int) -> None:
    kinds = [kind for kind, size in zip(SliceType, sizes, strict=True) for _ in range(size)]
    scripts = [make_script(number, kind) for number, kind in enumerate(kinds)]
    splits = draw_splits(scripts, DatasetConfig(test=test, validation=validation, seed=seed))
    assert set(splits) == {script.id for script in scripts}
    for kind, size in zip(SliceType, sizes, strict=True):
        counts = Counter(splits[script.id] for script in scripts if script.slice_type is kind)
        assert abs(counts["test"] - test * size) <= 1
        assert abs(counts["validation"] - validation * size) <= 1.5


def test_scripts_keep_their_splits_when_others_are_appended() -> None:
    scripts = [make_script(number, list(SliceType)[number % 5]) for number in range(500)]
    config = DatasetConfig(test=0.1, validation=0.1, seed=3)
    before, after = draw_splits(scripts[:217], config), draw_splits(scripts, config)
    assert before == {name: after[name] for name in before}


def test_the_same_words_are_never_on_two_sides() -> None:
    # Half of the texts come again, tagged, stressed and in another slice.
    scripts = [make_script(number) for number in range(100)]
    scripts += [
        make_script(1_000 + number, SliceType.LIGHT, f"[sad] this is NUMBER [pause] {number}...")
        for number in range(0, 100, 2)
    ]
    splits = draw_splits(scripts, DatasetConfig(test=0.3, validation=0.2))
    for number in range(0, 100, 2):
        assert splits[f"s{number}"] == splits[f"s{1_000 + number}"]


def test_the_seed_draws_other_scripts() -> None:
    scripts = [make_script(number) for number in range(200)]
    drawn = {tuple(draw_splits(scripts, DatasetConfig(test=0.1, seed=seed)).values()) for seed in range(4)}
    assert len(drawn) > 1


def test_nothing_to_train_on_is_refused() -> None:
    with pytest.raises(CorpusError, match="every script"):
        draw_splits([make_script(0)], DatasetConfig(test=0.6, validation=0.4))


@pytest.mark.parametrize(
    ("voice", "split", "allowed"),
    [("held", "test", True), ("held", "train", False), ("other", "train", True), ("other", "test", False)],
)
def test_held_out_voices_speak_in_the_test_and_nobody_else_does(voice: str, split: str, allowed: bool) -> None:
    config = DatasetConfig(holdout_voices=("held",))
    assert may_speak(voice, split, config) is allowed
    assert may_speak(voice, split, DatasetConfig())


def test_synthesis_gives_the_test_scripts_voices_of_their_own() -> None:
    scripts = [make_script(number) for number in range(200)]
    config = CorpusConfig(
        synthesis=SynthesisConfig(max_voice_share=0.2), dataset=DatasetConfig(test=0.1, holdout_voices=("x", "y"))
    )
    splits = draw_splits(scripts, config.dataset)
    parts = {settings.voices: (part, settings) for part, settings in divide_by_voices(scripts, "abcxdefg", config)}
    assert set(parts) == {("x", "y"), tuple("abcdefg")}
    test, settings = parts["x", "y"]
    assert {script.id for script in test} == {name for name, split in splits.items() if split == "test"}
    assert len(test) + len(parts[tuple("abcdefg")][0]) == 200
    # Two voices share the test half and half, which is a tenth of the corpus: far below a fifth of the whole.
    assert settings.max_voice_share == 1.0
    with pytest.raises(CorpusError, match="every voice"):
        divide_by_voices(scripts, ["x", "y"], config)


def test_without_held_out_voices_there_is_one_part() -> None:
    scripts = [make_script(0)]
    assert divide_by_voices(scripts, ["a"], CorpusConfig()) == [(scripts, SynthesisConfig())]
