import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evoxtral.training.clips import TrainingClip
from evoxtral.training.packing import EDGE_S, GAP_S, WindowPlan
from evoxtral.training.recipe import Packing

RATE_HZ = 16_000
NAMES = [f"{first}{second}" for first, second in itertools.product("abcdefghij", repeat=2)]


def clips_of(durations_s: list[float], repeat: float = 1.0) -> list[TrainingClip]:
    """Clips of one constant sample each, which tells which clip a piece of a window is."""
    return [
        TrainingClip(NAMES[n], NAMES[n], np.full(round(duration_s * RATE_HZ), n + 1, dtype=np.int16), repeat)
        for n, duration_s in enumerate(durations_s)
    ]


def runs_of(samples: np.ndarray) -> list[tuple[int, float]]:
    """(value, seconds) of each stretch of equal samples."""
    return [(int(value), len(list(group)) / RATE_HZ) for value, group in itertools.groupby(samples.tolist())]


@settings(max_examples=25, deadline=None)
@given(
    durations_s=st.lists(st.floats(0.5, 10), min_size=1, max_size=30),
    probability=st.floats(0, 1),
    grouped=st.integers(1, 5),
    seed=st.integers(0, 2**31),
)
def test_an_epoch_says_every_clip_once_with_its_own_text(
    durations_s: list[float], probability: float, grouped: int, seed: int
) -> None:
    plan = WindowPlan(clips_of(durations_s), Packing(probability=probability), seed=seed, window_s=10, grouped=grouped)
    said: Counter[str] = Counter()
    for window in plan:
        heard = [NAMES[value - 1] for value, _ in runs_of(window.samples) if value]
        assert window.text.split() == heard
        assert len(window.samples) <= 10 * RATE_HZ
        said.update(heard)
    assert said == Counter(NAMES[: len(durations_s)])


def test_a_packed_window_has_pauses_between_and_around_its_clips() -> None:
    plan = WindowPlan(clips_of([2.0] * 40), Packing(probability=1), seed=1)
    packed = [runs_of(window.samples) for window in plan]
    gaps_s = []
    for runs in packed:
        spoken = [index for index, (value, _) in enumerate(runs) if value]
        assert all(runs[index][1] == pytest.approx(2.0) for index in spoken)
        gaps_s += [runs[index][1] for index in range(spoken[0], spoken[-1]) if not runs[index][0]]
        edges_s = [runs[index][1] for index in (0, -1) if not runs[index][0]]
        assert all(edge_s <= EDGE_S[1] for edge_s in edges_s)
    assert gaps_s
    assert GAP_S[0] <= min(gaps_s) < 0.4
    assert 1.0 < max(gaps_s) <= GAP_S[1]


def test_without_packing_a_window_is_its_clip() -> None:
    clips = clips_of([1.0, 2.0, 45.0])
    windows = list(WindowPlan(clips, Packing(), seed=0))
    by_text = {window.text: window.samples for window in windows}
    assert all(np.array_equal(by_text[clip.text], clip.samples) for clip in clips)


def test_empty_windows_are_quiet_and_wordless() -> None:
    plan = WindowPlan(clips_of([1.0] * 40), Packing(empty=0.5), seed=3)
    empty = [window for window in plan if not window.text]
    assert len(empty) == 20
    assert len(plan) == 60
    assert all(np.abs(window.samples / 32767).max() < 0.5 for window in empty)
    assert any(window.samples.any() for window in empty)


def test_repeats_may_be_fractions() -> None:
    plan = WindowPlan(clips_of([0.5] * 100, repeat=2.5), Packing(), seed=0)
    visits = Counter(window.text for window in plan)
    assert set(visits.values()) == {2, 3}
    assert 230 <= visits.total() <= 270


def test_epochs_differ_and_may_be_cut_short() -> None:
    plan = WindowPlan(clips_of([0.5] * 20), Packing(), seed=0, epochs=2.5)
    texts = [window.text for window in plan]
    assert len(texts) == 50
    assert sorted(texts[:20]) == sorted(texts[20:40]) != texts[20:40] != texts[:20]
    assert len(WindowPlan(clips_of([0.5] * 20), Packing(), seed=0, epochs=None, max_windows=33)) == 33


def test_a_window_depends_on_the_seed_and_its_index_alone() -> None:
    clips = clips_of([1.0] * 20)
    packing = Packing(probability=0.5, empty=0.2)

    def plan(seed: int) -> WindowPlan:
        return WindowPlan(clips, packing, seed=seed, speed_probability=0.5)

    once, again = plan(7), plan(7)
    for index in reversed(range(len(once))):
        assert np.array_equal(once[index].samples, again[index].samples)
    assert [window.text for window in plan(7)] != [window.text for window in plan(8)]


def test_speed_changes_length_by_at_most_a_tenth_and_never_leaves_the_window() -> None:
    plan = WindowPlan(clips_of([9.9] * 50), Packing(), seed=0, window_s=10, speed_probability=1)
    lengths_s = [len(window.samples) / RATE_HZ for window in plan]
    assert min(lengths_s) >= 9.9 / 1.1 - 1e-3
    assert min(lengths_s) < 9.2
    assert 9.9 < max(lengths_s) <= 10


def test_grouped_windows_are_of_like_length() -> None:
    durations_s = [float(1 + n % 3 * 30) for n in range(48)]
    plan = WindowPlan(clips_of(durations_s), Packing(), seed=0, grouped=8)
    lengths = [len(window.samples) for window in plan]
    groups = [set(lengths[start : start + 8]) for start in range(0, 48, 8)]
    assert all(len(group) == 1 for group in groups)
    assert lengths != sorted(lengths)
