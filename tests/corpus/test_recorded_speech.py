"""Recordings into a corpus: texts by hand-worked cases, audio byte for byte, nothing copied twice."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from evoxtral.corpus.recorded_speech import import_recordings, tagged_transcript
from evoxtral.data.corpus_folder import CorpusFolder
from evoxtral.data.recording_sets import Recording, RecordingSet
from evoxtral.data.records import Domain, SliceType
from evoxtral.errors import AudioError


@pytest.fixture
def recordings(tmp_path: Path) -> RecordingSet:
    """Three clips in a tar: two spoken lines and one whose label says nothing certain."""
    rng = np.random.default_rng(5)
    rows = [
        {"file": "set/a b.flac", "duration": 0.5, "transcript": "Hello there.", "speaker": "ann", "split": "train"},
        {"file": "set/c.flac", "duration": 0.25, "transcript": "(sigh) Fine.", "speaker": "bob", "split": "test"},
        {"file": "set/d.flac", "duration": 0.25, "tag": "burst_calm", "det": {"sigh": 0.1}},
    ]
    with tarfile.open(tmp_path / "set.tar", "w") as archive:
        for row in rows:
            buffer = io.BytesIO()
            samples = rng.uniform(-0.5, 0.5, int(float(str(row["duration"])) * 16_000))
            soundfile.write(buffer, samples, 16_000, format="FLAC", subtype="PCM_16")
            member = tarfile.TarInfo(str(row["file"]))
            member.size = len(buffer.getvalue())
            buffer.seek(0)
            archive.addfile(member, buffer)
    (tmp_path / "set.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return RecordingSet(tmp_path / "set.jsonl")


@pytest.mark.parametrize(
    ("transcript", "tag", "text"),
    [
        ("Plain words stay.", "none", "Plain words stay."),
        ("At least MY plane flies.", "none", "At least MY plane flies."),
        ("YES, I'M DONE. GO AWAY", "none", "Yes, I'm done. Go away."),
        ("Ha ha ha!", "laughs", "[laughs]"),
        ("Nyah har har haar!", "laughs", "[laughs]"),
        ("Ahem!", "none", "[clears throat]"),
        ("(sigh) Not again.", "none", "[sighs] Not again."),
        ("<hack>", "hack", None),
        ("He had a hat.", "none", "He had a hat."),
        ("", "crying", "[crying]"),
        ("", "baby_cry", ""),
        ("", "burst_angry", None),
    ],
)
def test_tagged_transcript(transcript: str, tag: str, text: str | None) -> None:
    assert tagged_transcript(Recording(file="x.opus", duration_s=1.0, transcript=transcript, tag=tag)) == text


def test_import_copies_audio_and_labels_once(recordings: RecordingSet, tmp_path: Path) -> None:
    folder = CorpusFolder(tmp_path / "corpus")
    clips = import_recordings(folder, recordings, recordings.recordings, domain=Domain.CONVERSATION)
    assert [clip.tagged_text for clip in clips] == ["Hello there.", "[sighs] Fine."]
    assert [clip.split for clip in clips] == ["train", "test"]
    assert [clip.slice_type for clip in clips] == [SliceType.PLAIN, SliceType.LIGHT]
    assert [clip.voice for clip in clips] == ["ann", "bob"]
    for clip, recording in zip(clips, recordings.recordings[:2], strict=True):
        assert (folder.path / clip.audio).read_bytes() == recordings.read_bytes(recording)
    assert folder.read_clips() == clips
    assert import_recordings(folder, recordings, recordings.recordings, domain=Domain.CONVERSATION) == []


def test_reading_gives_the_samples(recordings: RecordingSet) -> None:
    samples = recordings.read(recordings.recordings[0])
    assert samples.shape == (8_000,)
    assert samples.dtype == np.float32
    assert 0.2 < np.sqrt(np.mean(samples**2)) < 0.4  # uniform in +-0.5: 0.5/sqrt(3) = 0.289


def test_missing_pieces_are_named(recordings: RecordingSet, tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"absent\.jsonl does not exist"):
        RecordingSet(tmp_path / "absent.jsonl")
    with pytest.raises(AudioError, match=r"holds no set/zzz\.flac"):
        recordings.read(recordings.recordings[0].model_copy(update={"file": "set/zzz.flac"}))
    (tmp_path / "set.tar").unlink()
    with pytest.raises(AudioError, match="no audio beside"):
        RecordingSet(tmp_path / "set.jsonl")
