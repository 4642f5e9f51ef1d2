"""Speakers are told apart by voice, named in order, and given to the words that they say."""

import logging
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray

from evoxtral.audio import SAMPLE_RATE_HZ
from evoxtral.inference.chunking import cut_windows
from evoxtral.inference.diarization import PYANNOTE_MODEL, EmbeddedDiarizer, Turn, load_diarizer, speaker_of
from evoxtral.inference.diarization.clustering import Piece, assign_speakers
from evoxtral.inference.diarization.pyannote import PyannoteDiarizer, load_pipeline
from evoxtral.inference.formats import to_txt
from evoxtral.inference.pipeline import transcribe
from evoxtral.models import ModelStore
from known_speech import SENTENCES, Reader, Recording, record
from local_hub import serve_hub

PLAIN = [sentence for sentence in SENTENCES if "[" not in sentence]


@pytest.fixture(scope="module")
def conversation() -> Recording:
    """Two voices take turns, four times each."""
    return record([*PLAIN, *PLAIN], [0.3, 0.6, 0.4, 0.9, 0.5, 0.6, 0.8, 0.5], voices=["espeak/alan", "espeak/grace"])


def pieces(*voices: tuple[int, float]) -> list[Piece]:
    """One piece a second, each with the voice of a speaker and so much of another's."""
    made = []
    for index, (speaker, noise) in enumerate(voices):
        voice = np.zeros(256, np.float32)
        voice[speaker] = 1.0
        voice[50] = 0.1 * speaker  # the higher their numbers, the more alike
        voice[100 + index] = noise
        made.append(Piece(float(index), index + 1.0, 2.0, voice / np.linalg.norm(voice)))
    return made


def same(labels: NDArray[np.intp], expected: str) -> bool:
    """Whether two labellings are the same but for the names."""
    return len(set(zip(labels.tolist(), expected, strict=True))) == len(set(expected)) == len(set(labels.tolist()))


def test_like_voices_are_put_together_as_many_speakers_as_that_gives() -> None:
    heard = pieces(*[(0, 0.2), (1, 0.3), (0, 0.1), (2, 0.2)] * 4)
    assert same(assign_speakers(heard), "abac" * 4)


def test_the_number_of_speakers_can_be_bounded() -> None:
    heard = pieces(*[(0, 0.2), (1, 0.3), (0, 0.1), (2, 0.2)] * 4)
    assert len(set(assign_speakers(heard, max_speakers=2))) == 2
    alike = pieces(*((0, 0.1 * index) for index in range(6)))
    assert len(set(assign_speakers(alike))) == 1
    assert len(set(assign_speakers(alike, min_speakers=2))) == 2


def test_a_moment_that_resembles_nobody_is_no_speaker() -> None:
    labels = assign_speakers(pieces(*[(0, 0.2), (1, 0.2)] * 12, (7, 0.0)))
    assert same(labels[:-1], "ab" * 12)
    assert labels[-1] in labels[:-1]


def test_a_word_that_sounds_a_little_like_another_speaker_stays_in_its_turn() -> None:
    heard = pieces(*[(0, 0.2)] * 4, *[(1, 0.2)] * 4, *[(0, 0.2)] * 4)
    # A tenth more like the other one, half a second long and close to its neighbours; and the same after pauses.
    odd = replace(
        heard[2], end_s=heard[2].start_s + 0.5, stretch_s=0.5, voice=0.45 * heard[0].voice + 0.55 * heard[5].voice
    )
    assert same(assign_speakers([*heard[:2], odd, *heard[3:]]), "aaaabbbbaaaa")
    apart = [replace(piece, start_s=5 * piece.start_s, end_s=5 * piece.start_s + 1) for piece in heard]
    odd = replace(odd, start_s=apart[2].start_s, end_s=apart[2].start_s + 0.5)
    assert same(assign_speakers([*apart[:2], odd, *apart[3:]]), "aababbbbaaaa")


def test_voices_are_told_apart_by_how_much_each_differs_from_itself() -> None:
    """Two voices at a distance of 0.3: two speakers where each is steady, one where each varies as much."""

    def heard(spread: float) -> list[Piece]:
        made = []
        for index in range(16):
            voice = np.zeros(256, np.float32)
            voice[0], voice[1] = np.sqrt(0.7), np.sqrt(0.3) * (1 if index // 2 % 2 else 0)
            voice[2] = np.sqrt(0.3) * (0 if index // 2 % 2 else 1)
            voice[100 + index] = spread
            start_s = index + (index // 2) * 1.0
            made.append(Piece(start_s, start_s + 1.0, 2.0, voice / np.linalg.norm(voice)))
        return made

    assert same(assign_speakers(heard(0.2)), "aabb" * 4)
    assert len(set(assign_speakers(heard(0.1)))) == 2
    between = 1 - heard(0.0)[0].voice @ heard(0.0)[2].voice
    assert between == pytest.approx(0.3)


def test_one_piece_is_one_speaker() -> None:
    assert assign_speakers(pieces((3, 0.0))).tolist() == [0]


def test_a_conversation_is_told_apart(conversation: Recording) -> None:
    diarizer = EmbeddedDiarizer()
    for window in cut_windows([conversation.samples], 12.0):
        diarizer.hear(window)
    turns = diarizer.turns()
    assert [turn.speaker for turn in turns] == ["SPEAKER_1", "SPEAKER_2"] * 4
    edges = [edge for turn in turns for edge in (turn.start_s, turn.end_s)]
    assert edges == sorted(edges)


def test_who_speaks_once_is_a_speaker_too() -> None:
    """Six voices with a turn each, of which only the first lasts three seconds."""
    heard = pieces(*[(speaker, 0.1) for speaker, count in enumerate((3, 2, 2, 2, 2, 2)) for _ in range(count)])
    assert same(assign_speakers(heard), "aaabbccddeeff")


def test_voices_of_a_roll_call_are_told_apart() -> None:
    voices = [f"espeak/{name}" for name in ("derek", "hazel", "sam", "bella", "glen", "june")]
    call = record([PLAIN[index % len(PLAIN)] for index in range(6)], [0.8] * 6, voices=voices)
    diarizer = EmbeddedDiarizer()
    for window in cut_windows([call.samples], 30.0):
        diarizer.hear(window)
    turns = diarizer.turns()
    assert len(turns) == 6
    assert len({turn.speaker for turn in turns}) >= 5


def test_words_and_segments_have_the_speakers_who_say_them(conversation: Recording) -> None:
    transcript = transcribe(conversation.samples, engine=Reader(conversation, max_window_s=12.0), diarize=True)
    truth = [f"SPEAKER_{number % 2 + 1}" for number, text in enumerate([*PLAIN, *PLAIN]) for _ in text.split()]
    assert [word.speaker for word in transcript.words] == truth
    assert " ".join(segment.text for segment in transcript.segments) == transcript.text
    assert [line.split(": ", 1) for line in to_txt(transcript).splitlines()] == [
        [f"SPEAKER_{number % 2 + 1}", text] for number, text in enumerate([*PLAIN, *PLAIN])
    ]


def test_a_change_of_speaker_ends_a_segment_without_a_pause(conversation: Recording) -> None:
    class Talkers:
        """Somebody speaks until 8 s and another from there."""

        def hear(self, window: object) -> None: ...

        def turns(self, min_speakers: int | None, max_speakers: int | None) -> list[Turn]:
            return [Turn(0.0, 8.0, "SPEAKER_1"), Turn(8.0, 99.0, "SPEAKER_2")]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("evoxtral.inference.pipeline.load_diarizer", lambda store: Talkers())
        transcript = transcribe(conversation.samples, engine=Reader(conversation), diarize=True)
    for segment in transcript.segments:
        assert (segment.speaker == "SPEAKER_1") == (segment.end_s < 8.3)
    assert " ".join(segment.text for segment in transcript.segments) == transcript.text


@pytest.mark.parametrize(
    ("start_s", "end_s", "speaker"),
    [(0.5, 0.9, "A"), (1.8, 2.4, "B"), (4.0, 4.2, "B"), (4.9, 5.0, "C"), (99.0, 99.5, "D"), (6.2, 6.6, "C")],
    ids=["inside", "mostly the second", "nearer to the one before", "nearer to the one after", "after all", "overlap"],
)
def test_who_speaks(start_s: float, end_s: float, speaker: str) -> None:
    turns = [Turn(0, 2, "A"), Turn(2, 3.5, "B"), Turn(5.2, 7.0, "C"), Turn(6.5, 8.0, "D")]
    assert speaker_of(start_s, end_s, turns) == speaker


def test_nobody_speaks_where_there_are_no_turns() -> None:
    assert speaker_of(0.0, 1.0, []) is None
    assert EmbeddedDiarizer().turns() == []


def test_pyannotes_pipeline_is_given_the_recording_and_its_turns_are_named(conversation: Recording) -> None:
    given = {}

    class Span:
        def __init__(self, start: float, end: float) -> None:
            self.start, self.end = start, end

    class Pipeline:
        def __call__(self, sound: dict[str, object], **bounds: object) -> "Pipeline":
            given.update(sound, **bounds)
            return self

        @property
        def speaker_diarization(self) -> "Pipeline":
            return self

        def itertracks(self, yield_label: bool) -> list[tuple[Span, int, str]]:
            return [(Span(0.1, 2.0), 0, "SPEAKER_07"), (Span(1.5, 3.0), 1, "SPEAKER_02"), (Span(4, 5), 2, "SPEAKER_07")]

    diarizer = PyannoteDiarizer(Pipeline())
    windows = list(cut_windows([conversation.samples], 12.0))
    for window in windows:
        diarizer.hear(window)
    assert diarizer.turns(None, 3) == [
        Turn(0.1, 2.0, "SPEAKER_1"),
        Turn(1.5, 3.0, "SPEAKER_2"),
        Turn(4, 5, "SPEAKER_1"),
    ]
    assert (given["sample_rate"], given["max_speakers"]) == (SAMPLE_RATE_HZ, 3)
    heard = given["waveform"][0].numpy()
    np.testing.assert_array_equal(heard, conversation.samples[: len(heard)])
    assert len(heard) >= len(conversation.samples) - 512


@pytest.fixture
def given_to_pyannote(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Path]]:
    """Stands in for pyannote.audio, which is not installed for tests; lists the folders that it is to load."""
    given: list[Path] = []

    class Pipeline:
        @staticmethod
        def from_pretrained(folder: Path) -> "Pipeline":
            assert (folder / "segmentation" / "pytorch_model.bin").is_file()
            assert os.environ["PYANNOTE_METRICS_ENABLED"] == "false"
            given.append(folder)
            return Pipeline()

    module = ModuleType("pyannote.audio")
    module.Pipeline = Pipeline  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pyannote", ModuleType("pyannote"))
    monkeypatch.setitem(sys.modules, "pyannote.audio", module)
    monkeypatch.setattr("evoxtral.inference.diarization.find_spec", lambda name: name)
    monkeypatch.delenv("PYANNOTE_METRICS_ENABLED", raising=False)
    yield given
    load_pipeline.cache_clear()


def test_pyannote_gets_its_weights_from_the_store_and_the_embedded_way_is_announced_without_them(
    given_to_pyannote: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with serve_hub(monkeypatch) as hub:
        for name, content in ("gated", None), ("given", {"config.yaml": b"", "segmentation/pytorch_model.bin": b"w"}):
            hub.models[PYANNOTE_MODEL] = content
            for _ in range(2):  # as for two recordings
                with caplog.at_level(logging.WARNING):
                    diarizer = load_diarizer(ModelStore(tmp_path / name))
                assert isinstance(diarizer, EmbeddedDiarizer if name == "gated" else PyannoteDiarizer)
    assert isinstance(load_diarizer(ModelStore(tmp_path / "given", offline=True)), PyannoteDiarizer)
    assert [tmp_path / "given" in folder.parents for folder in given_to_pyannote] == [True, True]
    (record,) = caplog.records
    assert f"accept them at https://huggingface.co/{PYANNOTE_MODEL}, then: hf auth login" in record.getMessage()
    with caplog.at_level(logging.WARNING):
        assert isinstance(load_diarizer(ModelStore(tmp_path / "empty", offline=True)), EmbeddedDiarizer)
    assert f"hf download {PYANNOTE_MODEL}" in caplog.records[-1].getMessage()
