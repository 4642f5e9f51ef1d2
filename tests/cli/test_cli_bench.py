import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from evoxtral.audio import write_audio
from evoxtral.bench import testset as testset_module
from evoxtral.cli.main import main
from evoxtral.data.records import Prediction
from evoxtral.tts import speak

REFERENCES = [{"id": "a", "text": "[sad] It rained all day."}, {"id": "b", "text": "Plain words here."}]
HYPOTHESES = [{"id": "a", "text": "[crying] It rained all day."}, {"id": "b", "text": "Plain words [laughs] here."}]


@pytest.fixture
def files(tmp_path) -> tuple[str, str]:
    return write(tmp_path / "r.jsonl", REFERENCES), write(tmp_path / "h.jsonl", HYPOTHESES)


@pytest.fixture
def no_packaged_set(tmp_path, monkeypatch) -> None:
    """Baselines that learn nothing: from the texts of the packaged set it takes them half a minute."""
    monkeypatch.setattr(testset_module, "PACKAGED_FOLDER", tmp_path / "none")


def write(path: Path, lines: list[dict[str, object]]) -> str:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(path)


def run(capsys, *args: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main(["bench", *args])
    out = capsys.readouterr()
    return int(stop.value.code or 0), out.out, out.err


def test_score_as_json(capsys, files):
    status, out, err = run(capsys, "score", "--reference", files[0], "--hypothesis", files[1], "--format", "json")
    report = json.loads(out)
    assert (status, err) == (0, "")
    assert report["wer"]["value"] == 0
    assert report["tags"]["f1"]["value"] == 0
    assert report["tags"]["type_accuracy"]["value"] == 2 / 3
    assert report["hallucination"]["per_100_words_plain"]["value"] == pytest.approx(100 / 3)
    assert report["baselines"] == {}


TRUTH = "[excited] We did it. [laughs] Now [whispers] listen to me. [clears throat] [pause] So."
IN_DIALECTS = {
    "stage": "*excited* We did it. *laughs* Now *whispers* listen to me. *clears throat* (pause) So.",
    "fish": "(excited) We did it. (laughing) Now (whispering) listen to me.  (break) So.",
    "wesr": "We did it. [laughs] Now <whispering>listen to me.</whispering> [clear_throat] So.",
    "scribe": "We did it. (laughter) Now listen to me. (clears throat) So.",
}


@pytest.mark.parametrize(
    ("dialect", "found"), [("elevenlabs", 0), ("stage", 5), ("fish", 4), ("wesr", 3), ("scribe", 2)]
)
def test_a_transcript_in_another_dialect_is_scored_by_what_it_says(capsys, tmp_path, dialect, found):
    reference = write(tmp_path / "r.jsonl", [{"id": "a", "text": TRUTH}])
    text = IN_DIALECTS.get(dialect, IN_DIALECTS["stage"])
    hypothesis = write(tmp_path / "h.jsonl", [{"id": "a", "text": text}])
    status, out, _ = run(
        capsys,
        *("score", "--reference", reference, "--hypothesis", hypothesis, "--dialect", dialect, "--format", "json"),
    )
    report = json.loads(out)
    assert status == 0
    assert report["tags"]["recall"]["value"] == found / 5
    assert (report["wer"]["value"] == 0) is (dialect != "elevenlabs")


def test_references_have_a_dialect_too_and_what_is_lost_is_said(capsys, tmp_path):
    reference = write(tmp_path / "r.jsonl", [{"id": "a", "text": "<laughing>Oh no</laughing> [inhale] really."}])
    hypothesis = write(tmp_path / "h.jsonl", [{"id": "a", "text": "[laughs] Oh no [gasps] really."}])
    _, out, err = run(
        capsys,
        *("score", "--reference", reference, "--hypothesis", hypothesis, "--reference-dialect", "wesr"),
        *("--format", "json"),
    )
    report = json.loads(out)
    assert "rescoped <laughing> (1)" in err
    assert report["tags"]["recall"]["value"] == 1 / 2
    assert report["tags"]["type_accuracy"]["value"] == 1


def test_score_as_a_table(capsys, files):
    status, out, _ = run(capsys, "score", "--reference", files[0], "--hypothesis", files[1])
    assert status == 0
    assert "| Tag F1 | 0.00 " in out


def test_score_with_baselines_learns_beside_the_references(capsys, files, tmp_path):
    write(tmp_path / "training.jsonl", [{"id": str(i), "text": f"[sad] It rained {i}."} for i in range(8)])
    _, out, _ = run(
        capsys, "score", "--reference", files[0], "--hypothesis", files[1], "--baselines", "--format", "json"
    )
    baselines = json.loads(out)["baselines"]
    assert baselines["no_tags"]["tags"]["f1"]["value"] == 0
    assert baselines["most_frequent_tag"]["tags"]["tagged"]["f1"]["value"] == 1


def test_missing_ids_are_an_error_unless_allowed(capsys, files, tmp_path):
    partial = write(tmp_path / "partial.jsonl", HYPOTHESES[:1])
    status, out, err = run(capsys, "score", "--reference", files[0], "--hypothesis", partial)
    assert (status, out) == (2, "")
    assert "without hypothesis: b" in err
    args = ("score", "--reference", files[0], "--hypothesis", partial, "--allow-missing", "--format", "json")
    status, out, _ = run(capsys, *args)
    assert (status, json.loads(out)["missing"]) == (0, ["b"])


def test_compare(capsys, files, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    perfect = write(other / "h.jsonl", REFERENCES)
    args = ("compare", files[1], perfect, "--reference", files[0], "--format", "json")
    status, out, _ = run(capsys, *args)
    comparison = json.loads(out)
    assert status == 0
    assert comparison["baseline"] == f"{tmp_path.name}/h"
    assert comparison["differences"]["other/h"]["tags"]["f1"]["value"] == 1
    assert "| difference |" in run(capsys, *args[:-2])[1]
    assert run(capsys, "compare", files[1], files[1], "--reference", files[0])[0] == 2
    assert run(capsys, "compare", files[1], "--reference", files[0])[0] == 2


def test_run_and_report(capsys, tmp_path, monkeypatch, scripted_engine):
    folder = tmp_path / "set"
    folder.mkdir()
    for line in REFERENCES:
        speech = speak("Some words, spoken clearly for a test.", voice="espeak/amber")
        write_audio(folder / f"{line['id']}.wav", speech.samples, speech.sample_rate_hz)
    write(folder / "references.jsonl", [line | {"audio": f"{line['id']}.wav"} for line in REFERENCES])
    write(folder / "training.jsonl", [{"id": str(i), "text": f"[sad] It rained {i}."} for i in range(8)])
    scripted_engine.text = "[sad] It rained all day."
    monkeypatch.setattr("evoxtral.inference.load_engine", lambda model, adapter, store: scripted_engine)
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")

    output = tmp_path / "out"
    args = (
        "--test-set",
        str(folder),
        "--model",
        str(model),
        "-o",
        str(output),
        "--format",
        "json",
        "--resamples",
        "20",
    )
    status, out, err = run(capsys, "run", *args)
    assert status == 0
    assert "report.html" in err
    scores = json.loads(out)
    assert scores["tags"]["f1"]["value"] == 2 / 3  # the second clip is plain
    assert scores["hallucination"]["per_100_words_plain"]["value"] == pytest.approx(100 / 3)
    assert "text_only" in scores["baselines"]
    assert {path.name for path in output.iterdir()} == {
        "predictions.jsonl",
        "report.html",
        "scores.json",
        "summary.md",
    }

    # The report can be made anew from the predictions, and these scored without the model.
    (output / "report.html").unlink()
    assert run(capsys, "report", str(output), "--test-set", str(folder), "--resamples", "20")[:2] == (0, "")
    assert json.loads((output / "scores.json").read_text()) == scores
    reference = str(folder / "references.jsonl")
    _, out, _ = run(
        capsys, "score", "--reference", reference, "--hypothesis", str(output / "predictions.jsonl"), "--format", "json"
    )
    assert json.loads(out)["tags"]["f1"]["value"] == 2 / 3


def test_a_missing_benchmark_set_is_named(capsys, tmp_path):
    status, _, err = run(capsys, "run", "--test-set", str(tmp_path), "-o", str(tmp_path / "out"))
    assert status == 2
    assert "is no benchmark set" in err


def test_both_sets_that_ship_are_run_and_the_real_one_is_shown_first(capsys, tmp_path, monkeypatch):
    packaged = {name: tmp_path / f"set-{name}" for name in ("real", "synthetic")}
    noise = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    for name, folder in packaged.items():
        folder.mkdir()
        write_audio(folder / "a.wav", noise, 16_000)
        clip = {"id": f"{name}-a", "text": "Oh no, not now.", "slice_type": f"part of {name}", "audio": "a.wav"}
        write(folder / "references.jsonl", [clip])
        write(folder / "training.jsonl", [{"id": str(i), "text": f"[sad] It rained {i}."} for i in range(8)])
    write(packaged["real"] / "whisper-base.jsonl", [{"id": "real-a", "text": "Oh no."}])
    monkeypatch.setattr(testset_module, "PACKAGED", packaged)
    monkeypatch.setattr(
        "evoxtral.bench.predicting.run_model",
        lambda testset, output, **options: predict(output, [reference.id for reference in testset.references]),
    )
    output = tmp_path / "out"
    status, out, _ = run(capsys, "run", "-o", str(output), "--resamples", "20")
    page = (output / "report.html").read_text("utf-8")
    assert status == 0
    for shown in (out, page):
        assert 0 < shown.index("Real recordings") < shown.index("part of real") < shown.index("Synthetic set")
        assert shown.index("Synthetic set") < shown.index("part of synthetic")
    scores = {name: json.loads((output / name / "scores.json").read_text()) for name in packaged}
    assert scores["real"]["baselines"]["whisper_base"]["wer"]["value"] == 1 / 2 + 1 / 4  # "no." is not "no,"
    assert scores["real"]["wer_normalized"]["against_whisper_base"]["value"] == -1 / 2
    assert "whisper_base" not in scores["synthetic"]["baselines"]

    # The same report from the predictions alone.
    (output / "report.html").unlink()
    (output / "summary.md").unlink()
    assert run(capsys, "report", str(output), "--resamples", "20")[0] == 0
    assert (output / "summary.md").read_text("utf-8") == out
    assert len((output / "report.html").read_text("utf-8")) == len(page)


def predict(output: Path, ids: list[str]) -> list[Prediction]:
    """Every word of the references."""
    predictions = [Prediction(id=id, text="Oh no, not now.") for id in ids]
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text("".join(line.model_dump_json() + "\n" for line in predictions))
    return predictions


@pytest.mark.parametrize("online", [["--wandb", "project"], ["--round-trip", "--engine", "elevenlabs"]])
def test_offline_goes_with_nothing_that_needs_the_network(online, capsys):
    status, out, err = run(capsys, "run", "--offline", *online)
    assert (status, out) == (2, "")
    assert "--offline goes with neither" in err


WESR_REFERENCES = [
    {"id": "a", "text": "I [laughs] see."},
    {"id": "b", "text": "<whispering>No</whispering> [clear_throat] way."},
]


def test_score_reads_other_dialects(capsys, tmp_path):
    reference = write(tmp_path / "wesr.jsonl", WESR_REFERENCES)
    theirs = [{"id": "a", "text": "I (laughter) see."}, {"id": "b", "text": "No (clears throat) way."}]
    hypothesis = write(tmp_path / "scribe.jsonl", theirs)
    args = ("score", "--reference", reference, "--hypothesis", hypothesis, "--format", "json")
    plain = json.loads(run(capsys, *args)[1])
    status, out, _ = run(capsys, *args, "--reference-dialect", "wesr", "--dialect", "scribe")
    read = json.loads(out)
    assert status == 0
    assert (plain["tags"]["f1"]["value"], read["tags"]["recall"]["value"]) == (0, 2 / 3)
    assert read["wer_normalized"]["value"] == 0


def test_score_as_wesr_bench_does(capsys, tmp_path):
    reference = write(tmp_path / "wesr.jsonl", WESR_REFERENCES)
    ours = [{"id": "a", "text": "I [laughs] see."}, {"id": "b", "text": "[whispers] No way."}]
    hypothesis = write(tmp_path / "ours.jsonl", ours)
    args = ("score", "--reference", reference, "--reference-dialect", "wesr", "--hypothesis", hypothesis)
    status, out, _ = run(capsys, *args, "--scorer", "wesr", "--format", "json")
    scores = json.loads(out)
    assert status == 0
    per_tag = scores["tags"]["per_tag"]
    assert {tag: (row["tp"], row["fp"], row["fn"]) for tag, row in per_tag.items()} == {
        "clear_throat": (0, 0, 1),
        "laughs": (1, 0, 0),
        "whispering": (1, 0, 0),  # two words to the end of the sentence: the scorer does not count the last
    }
    assert scores["classes"]["per_tag"]["COUGH"]["fn"] == 1
    assert "| laughs | 1.00 | 1.00 |" in run(capsys, *args, "--scorer", "wesr")[1]
    assert run(capsys, *args, "--scorer", "wesr", "--baselines")[0] == 2


def test_what_a_dialect_cannot_say_is_told(capsys, tmp_path):
    reference = write(tmp_path / "r.jsonl", [{"id": "a", "text": "[sad] One."}])
    status, _, err = run(capsys, "score", "--reference", reference, "--hypothesis", reference, "--scorer", "wesr")
    assert status == 0
    assert "left out [sad] (1)" in err


def test_answers_of_a_service_are_scored_and_ranked_beside_ours(capsys, files, tmp_path, no_packaged_set):
    answers = tmp_path / "answers"
    answers.mkdir()
    (answers / "a.json").write_text(json.dumps({"text": "It rained all day.", "words": []}))
    (answers / "b.json").write_text(json.dumps({"text": "Plain words here.", "words": []}))
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    status, _, err = run(capsys, "import", "scribe", str(answers), "-o", str(theirs / "predictions.jsonl"))
    assert (status, "2 predictions" in err) == (0, True)
    ours.mkdir()
    write(ours / "predictions.jsonl", REFERENCES)
    for folder in (theirs, ours):
        assert run(capsys, "report", str(folder), "--test-set", files[0], "--resamples", "10")[0] == 0
    status, _, err = run(capsys, "leaderboard", str(theirs), str(ours), "-o", str(tmp_path / "index.html"))
    assert (status, "1 test set" in err) == (0, True)
    page = (tmp_path / "index.html").read_text("utf-8")
    assert page.index('data-sort="unnamed system"') < page.index('data-sort="ElevenLabs Scribe"')
    assert run(capsys, "import", "nosuch", str(answers), "-o", str(tmp_path / "x"))[0] == 2


def test_run_on_a_dataset_with_a_remote_model(capsys, tmp_path, no_packaged_set):
    datasets = pytest.importorskip("datasets")
    speech = speak("Some words, spoken clearly for a test.", voice="espeak/amber")
    sounds = []
    for line in REFERENCES:
        write_audio(tmp_path / f"{line['id']}.wav", speech.samples, speech.sample_rate_hz)
        sounds.append(str(tmp_path / f"{line['id']}.wav"))
    rows = datasets.Dataset.from_dict({"audio": sounds, "sentence": [line["text"] for line in REFERENCES]})
    rows = rows.cast_column("audio", datasets.Audio(decode=False)).cast_column("audio", datasets.Audio())
    datasets.DatasetDict({"test": rows}).save_to_disk(tmp_path / "saved")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            content = json.dumps({"text": "[sad] It rained all day."}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        address = f"http://127.0.0.1:{server.server_port}/v1#served"
        args = ("--dataset", str(tmp_path / "saved"), "--model", address, "-o", str(tmp_path / "out"))
        status, out, _ = run(capsys, "run", *args, "--format", "json", "--resamples", "10")
    finally:
        server.shutdown()
        server.server_close()
    scores = json.loads(out)
    assert status == 0
    assert scores["tags"]["recall"]["value"] == 1
    assert scores["tags"]["precision"]["value"] == 1 / 2
    assert scores["system"]["Engine"] == "remote"
    assert run(capsys, "run", "--dataset", "x", "--test-set", str(tmp_path))[0] == 2
    status, _, err = run(capsys, "run", "--dataset", "owner/set", "--offline")
    assert (status, "owner/set is not on this machine" in err) == (2, True)
