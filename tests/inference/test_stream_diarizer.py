"""Speakers of a live stream: names that stay, earlier utterances set right, and nobody forgotten."""

import numpy as np

from evoxtral.inference.chunking import Span, Window
from evoxtral.inference.diarization import StreamDiarizer, online
from evoxtral.inference.diarization.clustering import Piece
from evoxtral.inference.vad import FRAME_SAMPLES
from known_speech import SENTENCES, record


def said(speaker: int, start_s: float, length_s: float = 2.0, noise: float = 0.2) -> Piece:
    voice = np.zeros(256, np.float32)
    voice[speaker] = 1.0
    voice[100 + int(start_s) % 150] = noise
    return Piece(start_s, start_s + length_s, length_s, voice / np.linalg.norm(voice))


def speakers(stream: StreamDiarizer) -> list[tuple[float, str]]:
    return [(turn.start_s, turn.speaker) for turn in stream.turns()]


def test_speakers_keep_their_names_as_more_is_said() -> None:
    stream = StreamDiarizer()
    stream.add([said(5, 0), said(5, 2)])
    assert speakers(stream) == [(0, "SPEAKER_1")]
    stream.add([said(2, 4), said(2, 6)])
    stream.add([said(5, 8)])
    assert speakers(stream) == [(0, "SPEAKER_1"), (4, "SPEAKER_2"), (8, "SPEAKER_1")]


def test_a_word_of_somebody_new_is_theirs_once_they_have_said_more() -> None:
    stream = StreamDiarizer()
    stream.add([said(5, 0), said(5, 2), said(5, 4)])
    stream.add([said(2, 6, length_s=0.5)])
    assert speakers(stream) == [(0, "SPEAKER_1")]  # half a second makes no speaker
    stream.add([said(5, 8), said(2, 10), said(2, 12)])
    assert speakers(stream) == [(0, "SPEAKER_1"), (6, "SPEAKER_2"), (8, "SPEAKER_1"), (10, "SPEAKER_2")]


def test_who_was_silent_for_long_is_still_known(monkeypatch) -> None:
    monkeypatch.setattr(online, "_MOST_PIECES", 10)
    stream = StreamDiarizer()
    stream.add([said(2, 0), said(2, 2)])
    for number in range(30):
        stream.add([said(5, 4 + 2 * number)])
    assert len(stream.turns()) <= 10
    stream.add([said(2, 70)])
    assert speakers(stream)[-1] == (70, "SPEAKER_1")


def test_times_of_an_utterance_count_from_its_start() -> None:
    sound = record([sentence for sentence in SENTENCES if "[" not in sentence][:2], [0.3, 0.3]).samples
    sound = sound[: len(sound) // FRAME_SAMPLES * FRAME_SAMPLES]
    window = Window(sound, (Span(0, len(sound)),), np.ones(len(sound) // FRAME_SAMPLES, np.bool_))
    stream = StreamDiarizer()
    utterance = stream.utterance(100.0)
    utterance.hear(window)
    turns = utterance.turns()
    assert turns[0].start_s == 0.0
    assert abs(turns[-1].end_s - len(sound) / 16_000) < 0.05
    assert stream.turns()[0].start_s == 100.0
