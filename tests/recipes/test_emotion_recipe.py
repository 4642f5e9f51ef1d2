"""The emotion head's recipe: a fit on made statistics whose answer is known, and who takes no part in it."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from evoxtral.audio.levels import rms_db
from evoxtral.inference.emotion_head import EmotionHead

_FOLDER = Path(__file__).parents[2] / "recipes" / "edge" / "emotion"
WIDTH = 12


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


fit_head = _load(_FOLDER / "fit_head.py")
make_features = _load(_FOLDER / "make_features.py")


def made_set(path: Path, wrong_tests: bool = False) -> None:
    """Actors whose emotions each move one statistic; English speech that differs from German in another one."""
    rng = np.random.default_rng(0)
    categories = {"neutral": "none", "happiness": "excited", "sadness": "sad", "anger": "angry", "fear": "nervous"}
    rows: list[dict[str, Any]] = []
    statistics = []
    for actor in range(5):
        for number, (category, label) in enumerate(categories.items()):
            for clip in range(8):
                is_test = actor == 4
                told = "sad" if is_test and wrong_tests else label
                rows.append({"set": "emodb", "file": f"{actor}{category}{clip}", "speaker": f"emodb_{actor}",
                             "split": "test" if is_test else "train", "language": "de", "category": category,
                             "label": told, "change": "as it is", "words": 6})  # fmt: skip
                heard = rng.normal(0, 0.3, WIDTH)
                heard[number] += 3.0
                statistics.append(heard)
    for reader in range(24):
        rows.append({"set": "librispeech_subset", "file": f"r{reader}", "speaker": f"libri_{reader}", "split": "train",
                     "language": "en", "category": None, "label": "none", "change": "as it is",
                     "words": 10})  # fmt: skip
        heard = rng.normal(0, 0.3, WIDTH)
        heard[0] += 3.0
        heard[1] += 5.0  # English sounds as German joy does
        statistics.append(heard)
    np.savez(path, rows=np.array([json.dumps(row) for row in rows]), layer_3=np.stack(statistics))


def fitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **kinds: bool) -> EmotionHead:
    made_set(tmp_path / "made.npz", **kinds)
    arguments = ["fit_head.py", "--features", str(tmp_path / "made.npz"), "--output", str(tmp_path / "emotion.npz")]
    monkeypatch.setattr(sys, "argv", arguments)
    fit_head.main()
    head = EmotionHead.load(tmp_path)
    assert head is not None
    return head


def test_emotions_are_told_from_plain_speech_of_either_language(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    head = fitted(tmp_path, monkeypatch)
    said = capsys.readouterr().out
    assert "03 and 16: (1.0," in said
    assert "false tags in 100 words of plain English: {0.5: 0.0," in said
    plain = {"de": np.eye(WIDTH)[0] * 3, "en": np.eye(WIDTH)[0] * 3 + np.eye(WIDTH)[1] * 5}
    for language, statistics in plain.items():
        assert head.emotion_of(statistics.astype(np.float32), language) is None
        for number, name in enumerate(head.names[1:], 1):
            moved = statistics + 3 * np.eye(WIDTH)[number] - 3 * np.eye(WIDTH)[0]
            found = head.emotion_of(moved.astype(np.float32), language)
            assert found is not None
            assert found.name == name


def test_what_test_actors_say_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = (fitted(tmp_path, monkeypatch, wrong_tests=wrong) for wrong in (False, True))
    np.testing.assert_array_equal(one.weights, other.weights)
    assert one.threshold == other.threshold


@pytest.mark.parametrize("change", make_features.CHANGES)
def test_changed_copies_are_finite_and_about_as_loud(change: str) -> None:
    sound = np.random.default_rng(0).normal(0, 0.05, 32_000).astype(np.float32)
    changed = make_features.CHANGES[change](sound, np.random.default_rng(1))
    assert np.isfinite(changed).all()
    assert 0.85 < len(changed) / len(sound) < 1.15
    assert np.array_equal(changed, sound) == (change == "as it is")
    assert rms_db(changed) > rms_db(sound) - 6
