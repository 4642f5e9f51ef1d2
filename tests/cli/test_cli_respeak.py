import json
import sys

import numpy as np
import pytest
import soundfile

from evoxtral.audio import write_audio
from evoxtral.cli.commands import run as run_command
from known_speech import record


def run(*arguments) -> int:
    return run_command(["respeak", *map(str, arguments)])


@pytest.fixture(scope="module")
def talk(tmp_path_factory):
    path = tmp_path_factory.mktemp("talk") / "talk.wav"
    recording = record(["The baker opens his shop early.", "[excited] We found the letters!"], [0.4, 1.6])
    write_audio(path, recording.samples, 16_000)
    return path


@pytest.fixture(autouse=True)
def kept_here(tmp_path, monkeypatch):
    monkeypatch.setenv("EVOXTRAL_SPEECH_CACHE", str(tmp_path / "cache"))


def test_a_recording_is_spoken_again_and_its_transcript_kept_beside_it(talk, tmp_path, capfd):
    assert run(talk, "--output", tmp_path / "again.wav", "--voice", "espeak/amber", "--keep-timing") == 0
    out, err = capfd.readouterr()
    assert out == ""
    assert "voice espeak/amber" in err
    samples, rate_hz = soundfile.read(tmp_path / "again.wav")
    document = json.loads((tmp_path / "again.json").read_text("utf-8"))
    assert document["path"] == str(talk)
    assert "baker" in document["text"]
    assert len(samples) / rate_hz == pytest.approx(document["duration_s"], abs=0.01)
    sentences = document["respoken"]["sentences"]
    assert sentences[0]["start_s"] == pytest.approx(sentences[0]["source_start_s"], abs=0.01)
    assert not np.any(samples[: round((sentences[0]["source_start_s"] - 0.02) * rate_hz)])


def test_a_corrected_transcript_is_spoken_again_where_it_changed(talk, tmp_path, capfd):
    assert run(talk, "-o", tmp_path / "again.wav") == 0
    path = tmp_path / "again.json"
    document = json.loads(path.read_text("utf-8"))
    document["text"] = document["text"].replace("baker", "butcher")
    document["mine"] = 1
    path.write_text(json.dumps(document), "utf-8")
    capfd.readouterr()
    assert run(path, "-o", tmp_path / "again.wav") == 0
    count = len(document["respoken"]["sentences"])
    assert f"{count} sentences ({count - 1} spoken before)" in capfd.readouterr().err
    after = json.loads(path.read_text("utf-8"))
    assert "butcher" in after["text"]
    assert after["mine"] == 1
    assert [sentence["cached"] for sentence in after["respoken"]["sentences"]] == [False] + [True] * (count - 1)


def test_standard_input_is_read(talk, tmp_path, monkeypatch):
    class Input:
        buffer = talk.open("rb")

    monkeypatch.setattr("sys.stdin", Input)
    assert run("-", "-o", tmp_path / "again.flac") == 0
    assert "baker" in json.loads((tmp_path / "again.json").read_text("utf-8"))["text"]
    assert sys.stdin is Input


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("silence.wav", None, "the transcript is empty"),
        ("missing.wav", b"", "missing.wav"),
        ("text.json", b"{}", "is no transcript"),
        ("text.json", b"{", "is not JSON"),
    ],
)
def test_what_cannot_be_spoken_again_is_one_line_and_leaves_nothing(name, content, said, tmp_path, capfd):
    if content is None:
        write_audio(tmp_path / name, np.zeros(32_000, np.float32), 16_000)
    elif content:
        (tmp_path / name).write_bytes(content)
    assert run(tmp_path / name, "-o", tmp_path / "again.wav") == 2
    err = capfd.readouterr().err
    assert said in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "again.wav").exists()
    assert not (tmp_path / "again.json").exists()


def test_wrong_use_is_said_before_anything_is_heard(talk, tmp_path, capfd, monkeypatch):
    monkeypatch.setattr("evoxtral.inference.pipeline.transcribe", lambda *a, **b: pytest.fail("it was transcribed"))
    for arguments, said in [
        ([talk], "--output"),
        ([talk, "-o", tmp_path / "out.xyz"], ".flac"),
        ([talk, "-o", talk], "is the recording itself"),
        ([tmp_path, "-o", tmp_path / "out.wav"], "IN is one recording"),
        ([talk, "-o", tmp_path / "out.wav", "--engine", "elevenlabs", "--offline"], "--offline"),
    ]:
        assert run(*arguments) == 2
        assert said in capfd.readouterr().err
