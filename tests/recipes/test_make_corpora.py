"""The edge model's material: which sentences are fit, whose recordings are used, and that noise is noise."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from evoxtral.corpus.similarity import Encoder, rouge_l
from evoxtral.corpus.writers.grammar import write_scripts
from evoxtral.data.recording_sets import RecordingSet
from evoxtral.data.records import Clip, Domain, SliceType

_PATH = Path(__file__).parents[2] / "recipes" / "edge" / "make_corpora.py"
_SPEC = importlib.util.spec_from_file_location("make_corpora", _PATH)
assert _SPEC is not None
assert _SPEC.loader is not None
make_corpora = importlib.util.module_from_spec(_SPEC)
sys.modules["make_corpora"] = make_corpora
_SPEC.loader.exec_module(make_corpora)
Sources = make_corpora.Sources
degrade, is_usable, make_nonspeech = make_corpora.degrade, make_corpora.is_usable, make_corpora.make_nonspeech
recorded_sentences = make_corpora.recorded_sentences

# As Kokoro's weights list them; the packaged voices of espeak come on top.
KOKORO = "af_alloy af_bella af_kore af_sarah af_v0 af_v0sarah am_adam am_liam am_michael am_v0michael bf_emma bf_lily"
OFFERED = [*make_corpora.offered_voices(), *(f"kokoro/{name}" for name in KOKORO.split()), "piper/en_US-joe-medium"]


def test_no_voice_that_tests_or_validates_is_heard_in_training() -> None:
    for voices in (make_corpora.grammar_voices(OFFERED), make_corpora.sentence_voices(OFFERED)):
        heard = {
            name: {voice for part, found in voices.items() if part.startswith(name) for voice in found}
            for name in ("train", "preference", "validation", "test")
        }
        assert heard["train"]
        assert not (heard["train"] | heard["preference"]) & {*make_corpora.TEST_VOICES, *make_corpora.VALIDATION_VOICES}
        assert not heard["validation"] & heard["test"]
        # Older releases of the same speakers, and blends of them, give a held-out voice away.
        assert not {voice for voice in heard["train"] | heard["preference"] if "_v0" in voice}
    assert {"kokoro/af_bella", "espeak/amber"} <= {*make_corpora.grammar_voices(OFFERED)["preference"]}


def test_what_the_recipe_learns_from_is_named_by_its_use() -> None:
    recipe = yaml.safe_load((_PATH.parent / "edge.yaml").read_text())
    learned = [Path(source["path"]).name for source in recipe["data"]["train"]]
    preferred = [Path(source["path"]).name for source in recipe["preference"]["sources"]]
    watched = [Path(source["path"]).name for source in recipe["data"]["validation"]]
    assert all(name.startswith("train-") for name in learned)
    assert all(name.startswith("preference-") for name in preferred)
    assert all(name.startswith("validation-") for name in watched)


def test_the_script_explains_itself() -> None:
    told = subprocess.run([sys.executable, str(_PATH), "--help"], capture_output=True, text=True, check=True)
    assert "--recordings" in told.stdout


@pytest.mark.parametrize(
    ("sentence", "usable"),
    [
        ("The saxophone solo was incredible.", True),
        ("Where is my dress?", True),
        ("Open it.", False),  # too short
        ("The BBC said so today.", False),  # capitals inside
        ("It costs 5 pounds today.", False),  # digits
        ("They will kill the process.", False),
        ("no capital at the start.", False),
        ("A sentence that goes on and on and on and on and on and on and on.", False),
    ],
)
def test_usable_sentences(sentence: str, usable: bool) -> None:
    assert is_usable(sentence) is usable


def test_sentences_are_cut_and_speakers_told_apart(tmp_path: Path) -> None:
    rows = [
        ("ann", "train", "Rain fell all day. Nobody came, I think."),
        ("ann", "test", "This one is kept for testing."),
        ("cut_5", "train", "Two people speak here. One after the other."),
        ("bob_unknown", "train", "Who is speaking here? Nobody can tell."),
        ("cid", "train", "Only one sentence here."),
        ("dan", "train", "It was 5 pounds. Oh. We all LAUGHED at it. Then it was fine. Then it was not."),
    ]
    lines = [
        {"file": "a.wav", "duration": 2.0, "speaker": f"x_{speaker}", "split": split, "transcript": text}
        for speaker, split, text in rows
    ]
    (tmp_path / "set.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "a.wav").write_bytes(b"")
    assert recorded_sentences(RecordingSet(tmp_path / "set.jsonl"), "train") == {
        "recorded/set.x_ann": ["Nobody came, I think.", "Rain fell all day."],
        "recorded/set.x_dan": ["Then it was fine.", "Then it was not."],
    }


def test_speakers_for_validation_are_whole_and_not_test_speakers(tmp_path: Path) -> None:
    lines = [
        {"file": f"{number}.wav", "duration": 2.0, "speaker": f"s{number % 40}", "split": split}
        for number in range(80)
        for split in (("train", "test")[number % 40 < 10],)
    ]
    for name in ("fotaq", "bass"):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "0.wav").write_bytes(b"")
    sources = Sources(tmp_path, tmp_path, tmp_path)
    speakers = {
        split: {item.speaker for item in sources.recording_set("fotaq").recordings if item.split == split}
        for split in ("train", "validation", "test")
    }
    assert speakers["test"] == {f"s{number}" for number in range(10)}
    assert speakers["validation"]
    assert not speakers["validation"] & (speakers["train"] | speakers["test"])
    assert {item.split for item in sources.recording_set("bass").recordings} == {"train", "test"}


def test_nonspeech_has_sound_and_no_text(tmp_path: Path) -> None:
    sources = Sources(tmp_path, tmp_path, tmp_path)
    make_nonspeech(sources, count=6)
    corpus = sources.corpus("train-nonspeech")
    clips = corpus.read_clips()
    assert [clip.tagged_text for clip in clips] == [""] * 6
    for clip in clips:
        samples, rate_hz = soundfile.read(corpus.path / clip.audio)
        assert rate_hz == 16_000
        assert len(samples) / rate_hz == pytest.approx(clip.duration_s, abs=0.05)
        assert 1e-4 < np.sqrt(np.mean(samples**2)) < 0.5
    make_nonspeech(sources, count=6)
    assert corpus.read_clips() == clips


def test_degraded_speech_is_the_same_speech_less_clear(tmp_path: Path) -> None:
    sources = Sources(tmp_path, tmp_path, tmp_path)
    seconds = np.arange(3 * 16_000) / 16_000
    spoken = (0.3 * np.sin(2 * np.pi * 220 * seconds) * (seconds < 2)).astype(np.float32)
    for name in ("fotaq", "librispeech_subset"):
        corpus = sources.corpus(f"validation-recordings-{name}")
        corpus.audio_path.mkdir(parents=True)
        clips = []
        # The second is too short to be of use.
        for number, samples in enumerate((spoken, spoken[:16_000], spoken)[: 3 if name == "fotaq" else 2]):
            soundfile.write(corpus.audio_path / f"{number}.opus", samples, 16_000, format="OGG", subtype="OPUS")
            clips.append(
                Clip(
                    id=f"{name}-{number}",
                    script_id=f"{name}-{number}",
                    tagged_text="Hello there.",
                    audio=f"audio/{number}.opus",
                    duration_s=len(samples) / 16_000,
                    voice=name,
                    engine="recording",
                    seed=0,
                    slice_type=SliceType.PLAIN,
                    domain=Domain.MONOLOGUE,
                    split="validation",
                )
            )
        corpus.append_clips(clips)
    degrade(sources, "validation", "validation")
    corpus = sources.corpus("validation-degraded")
    made = corpus.read_clips()
    assert [clip.id for clip in made] == ["degraded-librispeech_subset-0", "degraded-fotaq-0", "degraded-fotaq-2"]
    for clip in made:
        samples, rate_hz = soundfile.read(corpus.path / clip.audio)
        assert (rate_hz, len(samples)) == (16_000, len(spoken))
        level_db = [10 * np.log10(np.mean(part**2)) for part in np.split(samples, 3)]
        # Noise is heard where nothing is said, 10 to 20 dB below the speech.
        assert 8 < level_db[0] - level_db[2] < 23
        spectrum = np.abs(np.fft.rfft(samples[: 2 * 16_000]))
        assert np.argmax(spectrum) == 440  # 220 Hz in two seconds
    degrade(sources, "validation", "validation")
    assert corpus.read_clips() == made

    degrade(sources, "preference", "validation", most=1)
    assert [clip.id for clip in sources.corpus("preference-degraded").read_clips()] == [
        "degraded-librispeech_subset-0",
        "degraded-fotaq-0",
    ]


def test_nothing_of_an_existing_test_set_is_learned(tmp_path: Path) -> None:
    unseen = write_scripts(40, seed=20)
    path = tmp_path / "references.jsonl"
    path.write_text("".join(json.dumps({"id": script.id, "text": script.tagged_text}) + "\n" for script in unseen))
    texts = Sources(tmp_path, tmp_path, tmp_path, unseen=path).unseen_texts()
    assert texts == [script.tagged_text for script in unseen]
    # The same seed writes the same texts, unless it is told of them.
    assert [script.tagged_text for script in write_scripts(40, seed=20)] == texts
    added = write_scripts(40, seed=20, unlike=texts)
    encoder = Encoder()
    new, old = ([encoder.encode_forms(text) for text in found] for found in ((s.tagged_text for s in added), texts))
    pairs = [pair for one in new for other in old for pair in zip(one, other, strict=True)]
    assert max(rouge_l(*pair) for pair in pairs) < 0.7
