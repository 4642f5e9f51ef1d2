import json
from pathlib import Path

import pytest

from evoxtral.bench.vendors import VENDORS, read_responses
from evoxtral.errors import ScoreError
from evoxtral.tags import tag_names

# As the services' own pages show their answers, cut short.
SCRIBE = {
    "language_code": "eng",
    "language_probability": 0.98,
    "text": "Hello (laughter) world!",
    "words": [
        {"text": "Hello", "type": "word", "start": 0.1, "end": 0.5, "speaker_id": "speaker_0", "logprob": -0.1},
        {"text": " ", "type": "spacing", "start": 0.5, "end": 0.5, "logprob": 0.0},
        {"text": "(laughter)", "type": "audio_event", "start": 0.5, "end": 1.1, "logprob": -0.2},
        {"text": " ", "type": "spacing", "start": 1.1, "end": 1.1, "logprob": 0.0},
        {"text": "world!", "type": "word", "start": 1.1, "end": 1.6, "logprob": -0.1},
    ],
}
DEEPGRAM = {
    "metadata": {"channels": 1},
    "results": {
        "channels": [
            {
                "alternatives": [
                    {
                        "transcript": "Hello, world!",
                        "confidence": 0.99,
                        "words": [{"word": "hello", "punctuated_word": "Hello,", "start": 0.1, "end": 0.5}],
                    }
                ]
            }
        ]
    },
}
GEMINI = {
    "candidates": [
        {
            "content": {
                "role": "model",
                "parts": [
                    {"text": "The speaker laughs.", "thought": True},
                    {"text": "```\n[excited] Hello, "},
                    {"text": "world! [laughs]\n```"},
                ],
            },
            "finishReason": "STOP",
        }
    ]
}


def written(folder: Path, **answers: object) -> list[Path]:
    for name, answer in answers.items():
        (folder / f"{name}.json").write_text(json.dumps(answer))
    return [folder]


@pytest.mark.parametrize(
    ("vendor", "answer", "text"),
    [
        ("scribe", SCRIBE, "Hello [laughter] world!"),
        ("scribe", {"transcripts": [SCRIBE, {"text": "Bye.", "words": []}]}, "Hello [laughter] world! Bye."),
        ("deepgram", DEEPGRAM, "Hello, world!"),
        ("gemini", GEMINI, "[excited] Hello, world! [laughs]"),
        ("openai", {"text": "Hello, world!", "usage": {}}, "Hello, world!"),
        ("evoxtral", {"path": "a.wav", "text": "[sad] Hello."}, "[sad] Hello."),
    ],
)
def test_answers_become_predictions(vendor, answer, text, tmp_path):
    (prediction,), notes = read_responses(written(tmp_path, clip=answer), vendor)
    assert notes == []
    assert (prediction.id, tag_names(prediction.text)) == ("clip", tag_names(text))
    assert prediction.text == text
    assert (prediction.model, prediction.engine) == (VENDORS[vendor].title, vendor)


def test_the_vendors_own_client_reads_the_same_answer(tmp_path):
    types = pytest.importorskip("elevenlabs.types")
    response = types.SpeechToTextChunkResponseModel(**SCRIBE)
    dumped = json.loads(response.model_dump_json())
    (prediction,), _ = read_responses(written(tmp_path, clip=dumped), "scribe")
    assert prediction.text == "Hello [laughter] world!"


def test_events_without_brackets_and_words_without_spaces(tmp_path):
    words = [
        {"text": "Well", "type": "word"},
        {"text": "sighs", "type": "audio_event"},
        {"text": "yes.", "type": "word"},
    ]
    (prediction,), _ = read_responses(written(tmp_path, clip={"text": "", "words": words}), "scribe")
    assert prediction.text == "Well [sighs] yes."


def test_lines_with_ids_a_name_and_another_dialect(tmp_path):
    lines = [{"id": 7, "response": {"text": "<laugh> One."}}, {"id": "b", "response": {"text": "Two."}}]
    path = tmp_path / "answers.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    predictions, _ = read_responses([path], "openai", name="their model", dialect="orpheus")
    assert [(one.id, one.text, one.model) for one in predictions] == [
        ("7", "[laughs] One.", "their model"),
        ("b", "Two.", "their model"),
    ]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"error": "quota"}, "clip.json: not an answer of Deepgram"),
        ([], "no answers"),
        ({"results": {"channels": [{"alternatives": []}]}}, "not an answer"),
        ("text", "not an answer"),
        ({"results": None}, "not an answer"),
    ],
)
def test_other_files_are_named(answer, message, tmp_path):
    with pytest.raises(ScoreError, match=message):
        read_responses(written(tmp_path, clip=answer), "deepgram")


def test_an_id_twice_and_nothing_at_all(tmp_path):
    (tmp_path / "twice.jsonl").write_text('{"id": "a", "response": {"text": "x"}}\n' * 2)
    with pytest.raises(ScoreError, match="'a' occurs twice"):
        read_responses([tmp_path / "twice.jsonl"], "openai")
    with pytest.raises(ScoreError, match="no answers"):
        read_responses([tmp_path], "openai")
