"""`evoxtral listen`: recordings in real time through a real server, and what is said where there is no microphone."""

import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

from evoxtral.audio import resample
from evoxtral.audio.microphone import open_microphone
from evoxtral.cli.main import main
from evoxtral.errors import ModelError
from evoxtral.server.app import create_app
from evoxtral.server.settings import Settings
from evoxtral.tts import speak
from running_server import serve_app

TEXT = "[excited] It WORKS! [laughs]"


@pytest.fixture
def server(scripted_engine, tmp_path) -> Iterator[str]:
    with serve_app(create_app(Settings(studio=tmp_path), engine=scripted_engine)) as address:
        yield address


@pytest.fixture(scope="module")
def talk(tmp_path_factory) -> Path:
    """A sentence, more than half a second of silence, and another sentence."""
    parts = []
    for text in ("Please bring the blue folder to the meeting.", "And do not forget the key of the cellar, please."):
        speech = speak(text, voice="espeak/amber")
        parts += [resample(speech.samples, speech.sample_rate_hz, 16_000), np.zeros(12_000, np.float32)]
    path = tmp_path_factory.mktemp("talk") / "talk.flac"
    soundfile.write(path, np.concatenate(parts), 16_000)
    return path


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["listen", *arguments])
    assert isinstance(stop.value.code, int)
    return stop.value.code


def test_a_recording_becomes_a_line_for_each_utterance(server, talk, capsys):
    assert run(str(talk), "--server", server) == 0
    told = capsys.readouterr()
    assert told.out.splitlines() == [TEXT, TEXT]
    assert "Ctrl-C" in told.err


def test_all_events_are_lines_of_json(server, talk, capsys):
    assert run(str(talk), "--server", server, "--format", "json", "--diarize") == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert events[0]["type"] == "ready"
    finals = [event for event in events if event["type"] == "final"]
    assert [final["text"] for final in finals] == [TEXT, TEXT]
    assert [final["speaker"] for final in finals] == ["SPEAKER_1", "SPEAKER_1"]
    assert events[-1]["stats"]["audio_s"] == pytest.approx(soundfile.info(talk).duration, abs=0.1)


def test_without_a_server_it_has_its_own_with_the_packaged_model(talk, capsys):
    assert run(str(talk)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "blue folder" in lines[0]


def test_utterances_that_fail_are_told_and_counted(server, talk, capsys, scripted_engine):
    def fail() -> None:
        raise ModelError("the model lost its head")

    scripted_engine.before = fail
    assert run(str(talk), "--server", server) == 1
    assert "lost its head" in capsys.readouterr().err


def test_ctrl_c_ends_the_recording_and_what_was_said_is_printed(server, talk, tmp_path):
    samples, rate_hz = soundfile.read(talk, dtype="float32")
    soundfile.write(tmp_path / "hour.flac", np.tile(samples, 600), rate_hz)
    command = [sys.executable, "-m", "evoxtral.cli.main", "listen", str(tmp_path / "hour.flac")]
    with subprocess.Popen([*command, "--server", server, "--format", "json"], stdout=subprocess.PIPE) as listening:
        assert listening.stdout is not None
        try:
            for line in listening.stdout:
                if json.loads(line)["type"] == "speech_started":
                    break
            listening.send_signal(signal.SIGINT)
            events = [json.loads(line) for line in listening.stdout]
            assert listening.wait(60) == 0
        finally:
            listening.kill()
    kinds = [event["type"] for event in events]
    assert kinds[-1] == "done"
    assert events[-1]["stats"]["audio_s"] < 60
    # Speech had only begun: there is a final unless it was too short to be any.
    assert kinds.count("final") == events[-1]["stats"]["utterances"]


def test_nobody_at_the_address_is_one_line(talk, capsys):
    assert run(str(talk), "--server", "ftp://nowhere") == 2
    assert run("not-there.wav") == 2
    assert "not-there.wav" in capsys.readouterr().err


def test_no_package_for_microphones_is_one_line_with_what_adds_it(server, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    assert run("--server", server) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "evoxtral[microphone]" in error


class PortAudioError(Exception):
    pass


def sounddevice(query: Any, packets: tuple[bytes, ...] = ()) -> ModuleType:
    """The part of the package `sounddevice` that is used, with a microphone that hears these packets."""

    class RawInputStream:
        def __init__(self, *, samplerate: int, callback: Any, **options: Any) -> None:
            self.options = {"samplerate": samplerate, **options}
            self.thread = threading.Thread(target=lambda: [callback(packet, 0, None, None) for packet in packets])

        def __enter__(self) -> None:
            assert self.options == {
                "samplerate": 44_100, "blocksize": 2205, "device": 3, "channels": 1, "dtype": "int16",
            }  # fmt: skip
            self.thread.start()

        def __exit__(self, *error: object) -> None:
            self.thread.join()

    module: Any = SimpleNamespace(query_devices=query, RawInputStream=RawInputStream, PortAudioError=PortAudioError)
    return module  # type: ignore[no-any-return]


def test_a_microphone_gives_its_packets_at_its_own_rate(monkeypatch):
    asked = []

    def query(device: Any, kind: str) -> dict[str, Any]:
        asked.append((device, kind))
        return {"default_samplerate": 44_100.0}

    monkeypatch.setitem(sys.modules, "sounddevice", sounddevice(query, (b"ab", b"cd")))
    heard: list[bytes] = []
    with open_microphone(heard.append, "3") as rate_hz:
        pass
    assert (rate_hz, heard, asked) == (44_100, [b"ab", b"cd"], [(3, "input")])


def test_no_microphone_is_one_line(server, capsys, monkeypatch):
    def query(device: Any, kind: str) -> dict[str, Any]:
        raise PortAudioError("Error querying device -1")

    monkeypatch.setitem(sys.modules, "sounddevice", sounddevice(query))
    assert run("--server", server) == 2
    error = capsys.readouterr().err
    assert re.fullmatch(r"evoxtral: no microphone: cannot be opened: .*evoxtral listen FILE\)\n", error)
