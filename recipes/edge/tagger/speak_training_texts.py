"""Spoken training clips with exact times of words and tags, by the repository's local expressive voice.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python speak_training_texts.py --texts TEXTS.jsonl \\
        --output FOLDER --plan kokoro=800 espeak=1000 recorded=800 --workers 16

TEXTS.jsonl holds `{"id", "text"}` of training scripts (src/evoxtral/bench/testset/training.jsonl: nothing of the test
set). Kokoro is used through EVOXTRAL_KOKORO_DIR, real voices (their sentences spoken again in other deliveries) through
EVOXTRAL_RECORDINGS_DIR, real laughs, sighs, gasps and cries through `--bursts` (folders by tag; training speakers
only). Each worker keeps to one thread. Voices take turns. Clips are FLAC, each with a line in OUTPUT/clips.jsonl; a run
that was killed goes on after the last of them. Voices kept for validation and testing are those of
recipes/edge/make_corpora.py. Knows nothing of models.
"""

import argparse
import json
import multiprocessing
import re
import sys
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import scipy.signal
import soundfile

from evoxtral.settings import read_settings
from evoxtral.tags import parse
from evoxtral.tts import load_speech_engine
from evoxtral.tts.speech_engine import SpeechEngine

# As in recipes/edge/make_corpora.py (a test compares them).
TEST_VOICES = {
    "kokoro/af_sarah",
    "kokoro/am_michael",
    "kokoro/bf_emma",
    "kokoro/bm_george",
    "piper/en_US-joe-medium",
    "espeak/grace",
    "espeak/frank",
    "espeak/oscar",
}
VALIDATION_VOICES = {"kokoro/af_kore", "kokoro/am_liam", "kokoro/bf_lily", "espeak/hazel", "espeak/ned"}
UNUSED_VOICES = {"kokoro/af_v0", "kokoro/af_v0sarah", "kokoro/am_v0michael", "kokoro/bf_v0emma", "kokoro/bm_v0george"}
RATE_HZ = 16_000
EMOTIONS = ("excited", "sad", "angry", "nervous", "calm", "frustrated")
SOUNDS = ("laughs", "sighs", "gasps", "clears throat", "crying")
# Whispers and shouts twice as often as stammers.
DELIVERIES = ("whispers", "whispers", "shouts", "shouts", "stammers")
# How often a sound is a recorded one, where there are such.
BURSTS_SHARE = 0.6
_LONGEST_CLIP_S = 29
_SPEAKERS_FOR_ONE_IN_VALIDATION = 8

_engine: SpeechEngine | None = None
_output = Path()


def recorded_texts(folder: Path, count: int, seed: int) -> list[tuple[str, str]]:
    """(voice, tagged text): one or two sentences of one real speaker, each with an emotion, delivery or sound drawn."""
    rng = np.random.default_rng(seed)
    pools: dict[str, list[str]] = {}
    for name in ("fotaq", "librispeech_subset"):
        for line in (folder / f"{name}.jsonl").open():
            row = json.loads(line)
            text = " ".join((row.get("transcript") or "").split())
            if row["split"] != "train" or row["tag"] != "none" or re.search("_cut_|unknown", row["speaker"]):
                continue
            if zlib.crc32(row["speaker"].encode()) % _SPEAKERS_FOR_ONE_IN_VALIDATION == 0:  # kept for validation
                continue
            is_sentence = re.fullmatch(r"[A-Z][A-Za-z',!? -]*[.!?]", text) and len(re.findall("[.!?]", text)) == 1
            if 3 <= len(text.split()) <= 18 and is_sentence and not re.search("[A-Z]{2}", text):
                pools.setdefault(f"recorded/{name}.{row['speaker']}", []).append(text)
    voices = sorted(pools)
    weights = np.sqrt([len(pools[voice]) for voice in voices])
    made = []
    for _ in range(count):
        voice = voices[rng.choice(len(voices), p=weights / weights.sum())]
        parts = []
        for text in rng.choice(pools[voice], size=min(len(pools[voice]), int(rng.integers(1, 4))), replace=False):
            draw = rng.random()
            if draw < 0.4:
                parts.append(f"[{rng.choice(EMOTIONS)}] {text}")
            elif draw < 0.62:
                parts.append(f"[{rng.choice(DELIVERIES)}] {text}")
            elif draw < 0.75:
                parts.append(f"[{rng.choice(SOUNDS)}] {text}")
            elif draw < 0.85:
                words = text.split()
                at = int(rng.integers(len(words)))
                words[at] = words[at].upper()
                parts.append(" ".join(words))
            elif draw < 0.9:
                parts.append(f"[pause] {text}" if parts else text)
            else:
                parts.append(str(text))
        made.append((voice, " ".join(parts)))
    return made


def _start(bursts: Path | None, output: Path) -> None:
    global _engine, _output
    options: dict[str, Any] = {"bursts": bursts, "bursts_share": BURSTS_SHARE} if bursts else {}
    _engine, _output = load_speech_engine("local", **options), output


def _speak(job: tuple[str, str, str, int]) -> dict[str, Any] | None:
    assert _engine is not None
    name, voice, text, seed = job
    try:
        speech = _engine.speak(text, voice=voice, seed=seed)
    except Exception as error:  # a clip that a voice cannot speak is left out
        print(f"{name} {voice}: {error}", file=sys.stderr, flush=True)
        return None
    divisor = np.gcd(RATE_HZ, speech.sample_rate_hz)
    samples = scipy.signal.resample_poly(speech.samples, RATE_HZ // divisor, speech.sample_rate_hz // divisor).astype(
        np.float32
    )
    if len(samples) > _LONGEST_CLIP_S * RATE_HZ:
        return None
    soundfile.write(_output / f"{name}.flac", samples, RATE_HZ)
    parsed = parse(text)
    return {
        "file": f"{name}.flac",
        "text": text,
        "voice": voice,
        "duration": round(len(samples) / RATE_HZ, 3),
        "words": [
            [word.word, round(word.start_s, 3), round(word.end_s, 3), bool(parsed.words[word.index].emphasis)]
            for word in speech.words
        ],
        "tags": [[tag.tag, round(tag.start_s, 3), round(tag.end_s, 3)] for tag in speech.tags],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--plan", nargs="+", required=True, help="KIND=COUNT, in the order in which they are made")
    parser.add_argument(
        "--validation", action="store_true", help="the validation voices instead of the training voices"
    )
    parser.add_argument("--bursts", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--most-seconds", type=float, default=1e9, help="begin no clip after so long")
    options = parser.parse_args()
    offered = [voice.name for voice in load_speech_engine("local").voices()]
    kept_out = TEST_VOICES | UNUSED_VOICES
    fit = [name for name in offered if (name in VALIDATION_VOICES) == options.validation and name not in kept_out]
    rows = [json.loads(line) for line in options.texts.open()]
    rng = np.random.default_rng(options.seed)
    rng.shuffle(rows)
    options.output.mkdir(parents=True, exist_ok=True)
    plan, first = [], 0
    for part in options.plan:
        kind, count = part.split("=")
        if kind == "recorded":
            folder = read_settings().recordings_dir
            if folder is None:
                parser.error("recorded voices need EVOXTRAL_RECORDINGS_DIR, the folder of the recording sets")
            pairs = recorded_texts(folder, int(count), options.seed)
        else:
            voices = [voice for voice in fit if voice.startswith(f"{kind}/")]
            texts = [rows[(first + index) % len(rows)]["text"] for index in range(int(count))]
            pairs = [(voices[index % len(voices)], text) for index, text in enumerate(texts)]
            first += int(count)
        plan += [(f"{kind}-{options.seed}-{i:05d}", voice, text, i) for i, (voice, text) in enumerate(pairs)]
    manifest_path = options.output / "clips.jsonl"
    whole_lines = manifest_path.read_text().splitlines() if manifest_path.is_file() else []
    spoken = {Path(json.loads(line)["file"]).stem for line in whole_lines}
    plan = [job for job in plan if job[0] not in spoken]
    began = time.monotonic()
    done = 0
    with (
        manifest_path.open("a") as manifest,
        multiprocessing.Pool(options.workers, _start, (options.bursts, options.output)) as pool,
    ):
        for row in pool.imap_unordered(_speak, plan, chunksize=1):
            if row is not None:
                manifest.write(json.dumps(row) + "\n")
                manifest.flush()
                done += 1
            if time.monotonic() - began > options.most_seconds:
                pool.terminate()
                break
    print(f"{done} of {len(plan)} clips in {time.monotonic() - began:.0f} s, {len(spoken)} were there")


if __name__ == "__main__":
    main()
