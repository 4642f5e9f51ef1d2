"""Fixtures that several rooms' tests share: an engine that says what it is told, and a clip of real (local) speech."""

import io
import os
import signal

import pytest
import soundfile
from hypothesis import settings

from evoxtral.tts import speak
from scripted_engine import ScriptedEngine

# A job that a shell started in the background ignores Ctrl-C, and so would the programs that tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Triton reads this when it is first imported, which some test of another file may do.
os.environ["TRITON_INTERPRET"] = "1"
# A server that a test does not give a store keeps nothing.
os.environ["EVOXTRAL_SERVER_STORE"] = "none"
# How long an example takes says how busy the machine is. The same commit is judged by the same examples wherever it is
# tested; the nightly workflow (HYPOTHESIS_PROFILE=searching) looks for new ones.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.register_profile("searching", deadline=None, max_examples=1000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


def pytest_addoption(parser: pytest.Parser) -> None:
    """How much the tests that draw their own examples try."""
    parser.addoption("--mutations", type=int, default=500, help="damaged files to try")
    parser.addoption("--dialect-texts", type=int, default=400, help="random texts to try of each dialect of tags")
    parser.addoption("--kills", type=int, default=3, help="how often a batch is killed")
    parser.addoption("--server-kills", type=int, default=20, help="how often a server is killed under load")
    parser.addoption("--seed", type=int, default=0, help="of the damage, the texts and the kills")


@pytest.fixture
def scripted_engine() -> ScriptedEngine:
    return ScriptedEngine()


@pytest.fixture(scope="session")
def unchanging_engine() -> ScriptedEngine:
    """One for servers that serve several tests, which leave it as it is."""
    return ScriptedEngine()


@pytest.fixture(scope="session")
def spoken_wav() -> bytes:
    """Two seconds of the local voice as a WAV file."""
    speech = speak("A few words, spoken for a test.", voice="espeak/amber")
    buffer = io.BytesIO()
    soundfile.write(buffer, speech.samples, speech.sample_rate_hz, format="WAV")
    return buffer.getvalue()
