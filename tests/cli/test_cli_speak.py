"""`evoxtral speak` as it is typed."""

import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from evoxtral.cli.main import main


def run(*arguments):
    with pytest.raises(SystemExit) as stop:
        main(["speak", *map(str, arguments)])
    return stop.value.code


def test_text_becomes_a_file_and_the_voice_is_named_on_standard_error(tmp_path, capfd):
    assert run("[whispers] Hello there.", "--voice", "espeak/carl", "--seed", 7, "--output", tmp_path / "out.wav") == 0
    out, err = capfd.readouterr()
    assert out == ""
    assert "local/espeak" in err
    assert "espeak/carl" in err
    samples, rate_hz = soundfile.read(tmp_path / "out.wav")
    assert rate_hz == 22_050
    assert np.max(np.abs(samples)) > 0.01


def test_a_file_and_standard_input_are_read(tmp_path, monkeypatch):
    (tmp_path / "script.txt").write_text("[sad] So long.", encoding="utf-8")
    assert run(tmp_path / "script.txt", "-o", tmp_path / "file.wav") == 0

    class Input:
        def __init__(self, path):
            self.buffer = path.open("rb")

    monkeypatch.setattr("sys.stdin", Input(tmp_path / "script.txt"))
    assert run("-", "-o", tmp_path / "input.wav") == 0
    assert run("[sad] So long.", "-o", tmp_path / "text.wav") == 0
    assert (tmp_path / "file.wav").read_bytes() == (tmp_path / "text.wav").read_bytes()
    assert (tmp_path / "input.wav").read_bytes() == (tmp_path / "text.wav").read_bytes()


def test_a_text_in_another_dialect_sounds_as_it_does_in_ours(tmp_path, capfd):
    assert run("*sighs* So long, *whispers* my friend.", "--dialect", "stage", "-o", tmp_path / "stage.wav") == 0
    assert run("[sighs] So long, [whispers] my friend.", "-o", tmp_path / "ours.wav") == 0
    assert (tmp_path / "stage.wav").read_bytes() == (tmp_path / "ours.wav").read_bytes()
    assert "tags:" not in capfd.readouterr().err
    assert run("<whispering>Oh</whispering> no.", "--dialect", "wesr", "-o", tmp_path / "wesr.wav") == 0
    assert "tags: rescoped <whispering> (1)" in capfd.readouterr().err


def test_voices_are_listed(capfd):
    assert run("--list-voices") == 0
    lines = capfd.readouterr().out.splitlines()
    assert any(line.startswith("espeak/amber ") for line in lines)
    assert len(lines) >= 20


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["hi"], "--output"),
        ([], "TEXT"),
        (["", "-o", "x.wav"], "nothing to speak"),
        (["hi", "--voice", "nobody", "-o", "x.wav"], "'nobody'"),
        (["hi", "--engine", "festival", "-o", "x.wav"], "festival"),
    ],
)
def test_wrong_use_says_why_and_ends_with_2(arguments, said, capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(*arguments) == 2
    assert said in capfd.readouterr().err
    assert not (tmp_path / "x.wav").exists()


@pytest.mark.parametrize(("output", "said"), [("out.xyz", ".flac"), ("none/out.wav", "none")])
def test_a_place_that_takes_no_sound_is_refused_before_anything_is_spoken(output, said, capfd, tmp_path, monkeypatch):
    monkeypatch.setenv("ELEVENLABS_API_KEY", "unused")
    monkeypatch.setattr("evoxtral.tts.load_speech_engine", lambda name, **options: pytest.fail("an engine was loaded"))
    assert run("hi", "--engine", "elevenlabs", "-o", tmp_path / output) == 2
    assert said in capfd.readouterr().err


def test_a_long_text_that_is_no_file_name_is_text(tmp_path):
    assert run("word " * 80, "-o", tmp_path / "long.wav") == 0
    assert soundfile.info(tmp_path / "long.wav").duration > 10


def test_what_was_not_spoken_is_said(tmp_path, capfd):
    assert run("Hello 😀 friend", "-o", tmp_path / "out.wav") == 0
    assert "left out: emoji and signs (😀)" in capfd.readouterr().err


def test_a_temporary_folder_that_takes_nothing_does_not_matter(tmp_path):
    """As when it is full, or missing: the library is copied into memory."""
    if not hasattr(os, "memfd_create"):
        pytest.skip("only where the system has files in memory")
    code = (
        "import tempfile; tempfile.tempdir = '/nowhere'; from evoxtral.tts import speak; print(speak('hi').duration_s)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) > 0.2


def test_a_temporary_folder_that_is_needed_and_takes_nothing_is_one_line(tmp_path):
    code = (
        "import os, tempfile; vars(os).pop('memfd_create', None); tempfile.tempdir = '/nowhere';"
        "from evoxtral.cli.main import main; main(['speak', 'hi', '-o', 'hi.wav'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 2
    assert "espeak-ng cannot be copied into /nowhere" in done.stderr
    assert "TMPDIR" in done.stderr
    assert len(done.stderr.splitlines()) <= 2
