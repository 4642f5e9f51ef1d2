import json
from collections.abc import Sequence

import pytest

from evoxtral.audio import SAMPLE_RATE_HZ, write_audio
from evoxtral.bench.predicting import model_digest, run_model
from evoxtral.bench.testset import TestSet
from evoxtral.data.json_lines import read_records
from evoxtral.data.records import Prediction, Reference
from evoxtral.inference.engines.protocol import Hypothesis
from evoxtral.tts import speak


def text_of(seconds: int) -> str:
    """A text by which a window of so many seconds is known, with as many words as are spoken in them."""
    names = ("one", "two", "red", "green", "north", "south", "spring", "autumn")
    return "[sad] " + " ".join(f"{name} {seconds} and" for name in names[:seconds]) + " done."


TEXTS = [text_of(3), text_of(6), text_of(8)]


class Counting:
    """An engine that writes how long a clip's window is, and counts what it has heard; of the last clip it may die."""

    name = "counting"
    model = "none"
    max_window_s = 30.0
    batch_size = 1
    heard = 0

    def transcribe_windows(self, windows: Sequence[object], *, language: str = "en") -> list[Hypothesis]:
        self.heard += len(windows)
        if self.breaks_at_last and len(windows[0]) > 7 * SAMPLE_RATE_HZ:
            raise RuntimeError("killed")
        return [Hypothesis(text_of(round(len(window) / SAMPLE_RATE_HZ)), -0.1, 0.0) for window in windows]

    def __init__(self, *, breaks_at_last: bool = False) -> None:
        self.breaks_at_last = breaks_at_last


@pytest.fixture(scope="module")
def testset(tmp_path_factory) -> TestSet:
    folder = tmp_path_factory.mktemp("set")
    for index in range(3):
        speech = speak(" ".join([f"This is clip number {index}, spoken clearly."] * (index + 1)))
        write_audio(folder / f"{index}.wav", speech.samples, speech.sample_rate_hz)
    references = tuple(Reference(id=str(index), text="A text.", audio=f"{index}.wav") for index in range(3))
    return TestSet(folder, references, None)


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    return folder


def run(testset, model, output, engine, **options):
    return [
        prediction.text
        for prediction in run_model(testset, output, model=str(model), load=lambda name, adapter: engine, **options)
    ]


def test_predictions_are_stored_with_what_made_them(testset, model, tmp_path):
    output = tmp_path / "predictions.jsonl"
    told = []
    texts = run(testset, model, output, Counting(), on_progress=lambda done, total: told.append((done, total)))
    assert texts == TEXTS
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]
    stored = read_records(output, Prediction)
    assert [prediction.text for prediction in stored] == texts
    first = json.loads(output.read_text().splitlines()[0])
    assert (first["id"], first["model"], first["engine"]) == ("0", str(model), "counting")
    assert (first["model_digest"], first["options"]) == (model_digest(str(model)), {"language": "en"})
    assert len(first["audio_sha256"]) == 64
    assert first["time"].endswith("+00:00")
    assert first["compute_s"] >= 0


def test_a_killed_run_goes_on_where_it_was(testset, model, tmp_path):
    output = tmp_path / "predictions.jsonl"
    with pytest.raises(RuntimeError):
        run(testset, model, output, Counting(breaks_at_last=True))
    with output.open("a") as file:
        file.write('{"id": "2", "te')  # torn by the kill
    engine = Counting()
    assert run(testset, model, output, engine) == TEXTS
    assert engine.heard == 1


def test_nothing_is_loaded_when_all_is_there(testset, model, tmp_path):
    output = tmp_path / "predictions.jsonl"
    texts = run(testset, model, output, Counting())

    def load(name, adapter):
        raise AssertionError("loaded")

    assert [p.text for p in run_model(testset, output, model=str(model), load=load)] == texts


def test_other_weights_audio_or_options_are_heard_anew(testset, model, tmp_path):
    output = tmp_path / "predictions.jsonl"
    run(testset, model, output, Counting())
    (model / "config.json").write_text('{"changed": true}')
    engine = Counting()
    run(testset, model, output, engine)
    assert engine.heard == 3
    run(testset, model, output, engine, language="de")
    assert engine.heard == 6
    assert len(read_records(output, Prediction)) == 3  # of the last run only


def test_a_model_card_is_no_weight(model):
    before = model_digest(str(model))
    (model / "README.md").write_text("scores")
    assert model_digest(str(model)) == before
    (model / "model.bin").write_text("weights")
    assert model_digest(str(model)) != before
    assert model_digest("mistralai/Voxtral-Mini-3B-2507") is None
