"""Manifests of recordings: a line ends at a newline only, and no path leads out of the set's folder."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from evoxtral.data.recording_sets import RecordingSet
from evoxtral.errors import AudioError


def write_set(folder: Path, *lines: dict[str, object]) -> Path:
    manifest = folder / "set.jsonl"
    manifest.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "utf-8")
    return manifest


def test_separators_inside_a_transcript_lose_no_line(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.flac", np.full(160, 0.5), 16_000)
    texts = ["one\u2028two", "three\u0085four", "five"]
    manifest = write_set(tmp_path, *({"file": "a.flac", "duration": 1.0, "transcript": text} for text in texts))
    recordings = RecordingSet(manifest)
    assert [item.transcript for item in recordings.recordings] == texts
    np.testing.assert_allclose(recordings.read(recordings.recordings[0]), 0.5, atol=1e-4)


def test_clips_come_from_the_archive_where_they_are_not_unpacked(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros(160), 16_000, format="FLAC")
    with tarfile.open(tmp_path / "set.tar", "w") as archive:
        entry = tarfile.TarInfo("deep/a.flac")
        entry.size = len(buffer.getvalue())
        archive.addfile(entry, io.BytesIO(buffer.getvalue()))
    recordings = RecordingSet(write_set(tmp_path, {"file": "deep/a.flac", "duration": 0.01}))
    assert recordings.read_bytes(recordings.recordings[0]) == buffer.getvalue()


@pytest.mark.parametrize("path", ["../a.flac", "/etc/passwd", "C:\\a.flac"])
def test_a_path_that_leads_out_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(AudioError, match="leads out of the folder"):
        RecordingSet(write_set(tmp_path, {"file": path, "duration": 1.0}))
