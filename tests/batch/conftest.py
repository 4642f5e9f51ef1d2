"""A folder of short recordings by the local voice, and what all kinds of batches over it must come to."""

import io
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from evoxtral.batch.results import read_results

SENTENCES = (
    "My brother works in the garden every morning.",
    "Where did you put the keys?",
    "It rained all night long.",
    "Nobody told me about it.",
)


@pytest.fixture(scope="session")
def spoken_sentences() -> list[bytes]:
    """Each of `SENTENCES` as a WAV file."""
    from evoxtral.tts import speak

    found = []
    for sentence in SENTENCES:
        speech = speak(sentence, voice="espeak/amber")
        buffer = io.BytesIO()
        soundfile.write(buffer, speech.samples, speech.sample_rate_hz, format="WAV")
        found.append(buffer.getvalue())
    return found


@pytest.fixture
def write_recordings(spoken_sentences):
    """Writes so many recordings into a new folder; the second is no sound. Gives their paths."""

    def write(folder: Path, count: int) -> list[str]:
        folder.mkdir()
        for index in range(count):
            noise = np.random.default_rng(index).bytes(5000)
            content = noise if index == 1 else spoken_sentences[index % len(SENTENCES)]
            (folder / f"{index:03}.wav").write_bytes(content)
        return [str(path) for path in sorted(folder.iterdir())]

    return write


@pytest.fixture
def assert_all_are_done_once():
    """Asserts one line for each recording over all parts, of which the second failed and the others hold words."""

    def check(output: Path, paths: list[str]) -> None:
        lines = [json.loads(line) for part in output.glob("part-*.jsonl") for line in part.read_bytes().splitlines()]
        assert Counter(line["id"] for line in lines) == Counter(paths)
        results = {result.id: result for result in read_results(str(output))}
        assert [path for path in paths if results[path].error is not None] == [paths[1]]
        texts = [None if path == paths[1] else results[path].transcript["plain_text"] for path in paths]
        assert "works in the garden" in texts[0]
        # The same sound gives the same words, whoever heard it and after whatever else.
        for index, text in enumerate(texts):
            if index != 1:
                assert text == texts[index % len(SENTENCES) if index % len(SENTENCES) != 1 else 1 + len(SENTENCES)]

    return check


@pytest.fixture
def finished_lines():
    """Counts the results that are on disk, in closed parts and in the open one."""

    def count(output: Path) -> int:
        return sum(path.read_bytes().count(b"\n") for path in output.glob("*-*.jsonl"))

    return count
