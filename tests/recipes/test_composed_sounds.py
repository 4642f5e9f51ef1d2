"""Sounds put between speech: what is written of them, how loud they are, and that no test clip is among them.

Each clip of speech is one number throughout, so that samples tell which clips they are of.
"""

import importlib.util
import json
import random
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

_FOLDER = Path(__file__).parents[2] / "recipes" / "edge" / "short-contexts"
RATE_HZ = 16_000
TAGS = {"laughs": [901, 902], "crying": [911], "sighs": [921], "gasps": [931, 932, 933]}
# Of which the first three are of one speaker, the other three of another.
LEVELS = (1000, 1001, 1002, 1500, 1501, 1502)


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, _FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


recipe = _load("composed_sounds")


def tokens_of(value: int) -> list[int]:
    return [value, value + 10_000]


def square(level: int, length_s: float) -> NDArray[np.int16]:
    """A sound whose audible part has this RMS."""
    return np.resize(np.repeat(np.array([level, -level], np.int16), 20), round(length_s * RATE_HZ))


@pytest.fixture
def composer() -> Any:
    speech = [
        recipe.Example(
            np.full(round((1 + index / 10) * RATE_HZ), value, np.int16),
            "en",
            "",
            tokens_of(value),
            speaker="amy" if index < 3 else "ben",
        )
        for index, value in enumerate(LEVELS)
    ]
    speech.append(recipe.Example(np.full(RATE_HZ, 7000, np.int16), "en", "", tokens_of(7000), speaker="amy"))
    speech.append(recipe.Example(np.full(9 * RATE_HZ, 8000, np.int16), "en", "", tokens_of(8000), speaker="amy"))
    sounds = {name: [square(400, 0.9)] for name in (*TAGS, "hum", "cough")}
    return recipe.Composer(speech, sounds, TAGS, fits=lambda example: example.tokens[0] != 7000)


def clips_in(samples: NDArray[np.int16]) -> list[int]:
    """The values of the clips of speech in the order in which they are heard; a sound holds no value for so long."""
    firsts = np.flatnonzero(np.diff(samples, prepend=np.int16(-1)))
    lengths = np.diff(firsts, append=len(samples))
    values = samples[firsts]
    return [int(value) for value in values[(values != 0) & (lengths > RATE_HZ // 2)]]


def is_amys(value: int) -> bool:
    return value < 1500


@pytest.mark.parametrize("sound", [*TAGS, "hum", "cough"])
def test_the_text_is_that_of_the_speech_with_a_tag_in_the_sounds_place(composer: Any, sound: str) -> None:
    rng = random.Random(3)
    orders = set()
    for _ in range(80):
        example = composer.draw(rng, sound)
        clips = clips_in(example.samples)
        assert clips == clips_in(example.clean)  # the teacher hears all of the speech, and nothing else
        assert set(np.unique(example.clean).tolist()) <= {0, *LEVELS}
        tag = TAGS.get(sound, [])
        assert example.tokens[example.tag.start : example.tag.stop] == tag
        spoken = [token for token in example.tokens if token not in tag]
        assert spoken == [token for value in clips for token in tokens_of(value)]
        assert len({is_amys(value) for value in clips}) <= 1  # of one speaker
        heard = np.flatnonzero(~np.isin(example.samples, [0, *LEVELS]))
        before = clips_in(example.samples[: heard[0]])
        if tag:
            assert example.tag.start == 2 * len(before)
        orders.add((len(before), len(clips) - len(before)))
    assert orders == {(1, 1), (0, 1), (1, 0), (0, 0)}


@pytest.mark.parametrize(
    ("sound", "least_db", "most_db"), [("laughs", -10, 5), ("hum", -10, 5), ("sighs", -14, 2), ("gasps", -12, 2)]
)
def test_a_sound_is_as_loud_against_the_speech_as_such_sounds_are(
    composer: Any, sound: str, least_db: float, most_db: float
) -> None:
    rng = random.Random(4)
    found_db: list[float] = []
    while len(found_db) < 150:
        example = composer.draw(rng, sound)
        speech = clips_in(example.samples)
        if speech:
            heard = example.samples[~np.isin(example.samples, [0, *LEVELS])]
            found_db.append(float(20 * np.log10(np.median(np.abs(heard)) / np.mean(speech))))
    assert least_db - 0.3 <= min(found_db) < least_db + 2
    assert most_db - 2 < max(found_db) <= most_db + 0.3


def test_clips_of_several_voices_in_a_row_have_the_texts_that_they_have_alone(composer: Any) -> None:
    rng = random.Random(5)
    joined = [example for example in (composer.draw(rng) for _ in range(200)) if not example.sound]
    assert 20 <= len(joined) <= 60  # one in five
    for example in joined:
        clips = clips_in(example.samples)
        assert 2 <= len(clips) <= 5
        assert example.tokens == [token for value in clips for token in tokens_of(value)]
        assert example.tag == range(len(example.tokens))
        assert example.length_s <= 26
        assert example.clean is None
    assert any(len(set(map(is_amys, clips_in(example.samples)))) == 2 for example in joined)


def test_a_batch_is_of_like_length(composer: Any) -> None:
    batch = composer.batch(12, random.Random(6))
    lengths_s = [example.length_s for example in batch]
    assert len(batch) == 12
    assert lengths_s == sorted(lengths_s)


def test_sounds_of_the_test_split_and_of_no_class_are_left_out(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = []

    def add(level: int, split: str, length_s: float = 1.0, **known: object) -> None:
        name = f"{level}.wav"
        soundfile.write(tmp_path / name, square(level, length_s), RATE_HZ, subtype="PCM_16")
        rows.append({"id": name, "kind": "burst", "split": split, "duration": length_s, **known})

    add(1000, "train", sound="laughs")
    add(1100, "train", sound="hum")
    add(1200, "test", sound="laughs")
    add(1300, "validation", sound="laughs")
    add(1400, "train", sound="clears throat")
    add(1500, "train")
    add(1600, "train", 0.2, sound="laughs")
    (tmp_path / "clips.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def levels_of(split: str) -> dict[str, list[int]]:
        sounds = recipe.read_sounds(tmp_path, split, read=_read, workers=1)
        return {name: [int(np.abs(sound).max()) for sound in found] for name, found in sounds.items()}

    assert levels_of("train") == {"laughs": [1000], "hum": [1100]}
    assert levels_of("validation") == {"laughs": [1300]}


def _read(path: str) -> NDArray[np.int16]:
    samples, _ = soundfile.read(path, dtype="int16")
    return np.asarray(samples, np.int16)


def test_of_a_long_sound_the_loudest_stretch_is_taken() -> None:
    long = np.concatenate([square(100, 2.0), square(3000, 1.0), square(100, 2.0)])
    loudest: Callable[[NDArray[np.int16], float], NDArray[np.int16]] = recipe.loudest
    assert np.array_equal(loudest(long, 1.0), long[2 * RATE_HZ : 3 * RATE_HZ])
    assert np.array_equal(loudest(long, 9.0), long)
