"""What the emotion head is fitted on: statistics of utterances over early layers of the edge model's encoder.

    python make_features.py --sets SETS [--synthetic SYN] [--model src/evoxtral/models/edge] --output features.npz

SETS holds `NAME.jsonl` and the audio of the sets below (see `evoxtral.data.recording_sets`); SYN the folders that
`../tagger/speak_training_texts.py` wrote. Every utterance is encoded as the engine does it (alone, at its own length,
at one level), as it is and changed: rooms, noise, phone band, clipping, pitch. Writes `layer_K` (n, 2 * width) for each
layer, and `rows`: n lines of JSON with set, file, speaker, split, language, label, change, words. For another model.bin
run it again. Knows nothing of classifiers.
"""

import argparse
import json
import random
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.signal
import soundfile
from numpy.typing import NDArray

from evoxtral.audio import SAMPLE_RATE_HZ
from evoxtral.audio.levels import sounding_span, to_gain
from evoxtral.data.recording_sets import Recording, RecordingSet
from evoxtral.inference.emotion_head import LONGEST_S, at_usual_level, pooled
from evoxtral.inference.engines.early_encoder import EarlyEncoder

Samples = NDArray[np.float32]
LAYERS = (3,)
EMOTIONS = {
    "anger": "angry", "happiness": "excited", "fear": "nervous", "sadness": "sad",
    "neutral": "none", "boredom": "none", "disgust": "none",
    "amused": "excited", "angry": "angry", "disgusted": "none", "sleepy": "none",
}  # fmt: skip
_PAD_S = 0.1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=Path, required=True)
    parser.add_argument("--synthetic", type=Path)
    parser.add_argument("--model", type=Path, default=Path("src/evoxtral/models/edge"))
    parser.add_argument("--only", nargs="*", help="these sets alone")
    parser.add_argument("--layers", nargs="*", type=int, default=LAYERS)
    parser.add_argument("--unchanged", action="store_true", help="no changed copies")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    encoders = {layer: EarlyEncoder(options.model, layer) for layer in options.layers}
    rows: list[dict[str, Any]] = []
    columns: dict[int, list[NDArray[np.float32]]] = {layer: [] for layer in encoders}
    for row, samples in utterances(options.sets, options.synthetic):
        if options.only and row["set"] not in options.only:
            continue
        for change in changes_of(row)[: 1 if options.unchanged else None]:
            rng = np.random.default_rng(zlib.crc32(f"{row['file']} {row['start_s']} {change}".encode()))
            heard = at_usual_level(CHANGES[change](samples, rng))
            rows.append(row | {"change": change})
            for layer, encoder in encoders.items():
                columns[layer].append(pooled(encoder.encode(heard)))
        if len(rows) % 200 < 4:
            print(f"{len(rows)} {row['file']}", file=sys.stderr, flush=True)
        if len(rows) % 100 < 3:
            save(options.output, rows, columns)
    save(options.output, rows, columns)


def save(output: Path, rows: Sequence[dict[str, Any]], columns: dict[int, list[NDArray[np.float32]]]) -> None:
    arrays: dict[str, Any] = {f"layer_{layer}": np.stack(found).astype(np.float16) for layer, found in columns.items()}
    np.savez(output, rows=np.array([json.dumps(row) for row in rows]), **arrays)


def utterances(sets: Path, synthetic: Path | None) -> Iterator[tuple[dict[str, Any], Samples]]:
    """Each utterance with what is known of it; silence around it is cut off."""
    rng = random.Random(1)
    wanted: list[tuple[str, str, Callable[[Recording], bool], int]] = [
        ("emodb", "de", lambda item: item.category in EMOTIONS, 1000),
        ("thorsten_emotional", "de", lambda item: item.category in EMOTIONS, 1000),
        ("librispeech_subset", "en", lambda item: item.split == "train", 1000),
        ("picovoice_s2i", "en", lambda item: True, 250),
        ("fotaq", "en", lambda item: item.split == "train" and item.tag == "none" and item.duration_s > 1.5, 200),
        ("bass", "en", lambda item: item.split == "train" and item.duration_s > 1.5, 120),
        ("megaglest", "en", lambda item: item.category in ("ack", "select", "attack"), 120),
    ]
    for name, language, is_wanted, most in wanted:
        recordings = RecordingSet(sets / f"{name}.jsonl")
        chosen = [item for item in recordings.recordings if is_wanted(item)]
        chosen = chosen if len(chosen) <= most else rng.sample(chosen, most)
        for item in chosen:
            row = {
                "set": name, "file": item.file, "speaker": item.speaker, "split": item.split, "language": language,
                "category": item.category, "tag": item.tag, "start_s": 0.0, "words": len(item.transcript.split()),
                "label": EMOTIONS.get(item.category or "", "none"),
            }  # fmt: skip
            yield row, speech_of(recordings.read(item))
    for manifest in sorted(synthetic.glob("*/clips.jsonl")) if synthetic else ():
        yield from synthetic_sentences(manifest)


def synthetic_sentences(manifest: Path) -> Iterator[tuple[dict[str, Any], Samples]]:
    """Sentences of the local voice with one emotion, or with no tag at all."""
    from evoxtral.tags import parse

    for line in manifest.read_text("utf-8").splitlines():
        clip = json.loads(line)
        parsed = parse(clip["text"])
        if len(parsed.words) != len(clip["words"]):
            continue
        path = manifest.parent / clip["file"]
        if not path.is_file():
            continue
        samples, rate_hz = soundfile.read(path, dtype="float32")
        assert rate_hz == SAMPLE_RATE_HZ
        first = 0
        while first < len(parsed.words):
            last = parsed.sentence_ends[first]
            inside = [tag.name for tag in parsed.tags if first <= tag.gap < last]
            scopes = [
                parsed.tags[scope.tag].name
                for scope in parsed.scopes
                if scope.first_word < last and scope.last_word > first
            ]
            names = set(inside) | set(scopes)
            start_s, end_s = clip["words"][first][1], clip["words"][last - 1][2]
            if len(names) <= 1 and not names & {"pause", "laughs", "sighs", "gasps", "crying", "clears throat"}:
                row = {
                    "set": f"syn-{manifest.parent.name}", "file": clip["file"], "speaker": clip["voice"],
                    "split": "train",
                    "language": "en", "category": next(iter(names), "plain"), "tag": next(iter(names), "none"),
                    "start_s": start_s, "words": last - first, "label": next(iter(names), "none"),
                }  # fmt: skip
                part = samples[
                    max(0, int((start_s - _PAD_S) * SAMPLE_RATE_HZ)) : int((end_s + _PAD_S) * SAMPLE_RATE_HZ)
                ]
                if len(part) > 0.5 * SAMPLE_RATE_HZ:
                    yield row, part
            first = last


def speech_of(samples: Samples) -> Samples:
    """Without the silence around it but for a tenth of a second, and no longer than an engine hears."""
    start, end = sounding_span(samples, SAMPLE_RATE_HZ)
    pad = int(_PAD_S * SAMPLE_RATE_HZ)
    return samples[max(0, start - pad) : end + pad][: int(LONGEST_S * SAMPLE_RATE_HZ)]


def changes_of(row: dict[str, Any]) -> Sequence[str]:
    """How an utterance is heard: plain speech in two ways, acted speech in three."""
    count = {"emodb": 2, "librispeech_subset": 1, "picovoice_s2i": 1}.get(row["set"], 0)
    if row["split"] == "test":
        count = 0
    others = [change for change in CHANGES if change != "as it is"]
    number = zlib.crc32(row["file"].encode())
    return ("as it is", *(others[(number + 3 * index) % len(others)] for index in range(count)))


def _room(samples: Samples, rng: np.random.Generator) -> Samples:
    length = int(0.35 * SAMPLE_RATE_HZ)
    tail = rng.normal(size=length) * np.exp(-np.arange(length) / (0.05 * SAMPLE_RATE_HZ))
    tail *= to_gain(-4.0) / np.sqrt(np.square(tail).sum())
    tail[0] += 1.0
    return np.asarray(scipy.signal.fftconvolve(samples, tail)[: len(samples)], np.float32)


def _noise(samples: Samples, rng: np.random.Generator) -> Samples:
    pink = np.cumsum(rng.normal(size=len(samples)))
    pink = scipy.signal.lfilter([1, -1], [1, -0.97], pink)
    level = np.sqrt(np.mean(np.square(samples)) + 1e-12) / np.sqrt(np.mean(np.square(pink)))
    return np.asarray(samples + pink * level * to_gain(-rng.uniform(12, 22)), np.float32)


def _phone(samples: Samples, _: np.random.Generator) -> Samples:
    sos = scipy.signal.butter(4, (300.0, 3400.0), "bandpass", fs=SAMPLE_RATE_HZ, output="sos")
    return np.asarray(scipy.signal.sosfilt(sos, samples), np.float32)


def _clipped(samples: Samples, _: np.random.Generator) -> Samples:
    return np.asarray(np.clip(samples * (10.0 / (np.abs(samples).max() + 1e-9)), -1, 1) / 2, np.float32)


def _tone(samples: Samples, rng: np.random.Generator) -> Samples:
    """Brighter or darker: another microphone."""
    darker = rng.uniform(-0.5, 0.5)
    return np.asarray(scipy.signal.lfilter([1.0, darker], [1.0], samples), np.float32)


def _pitch(samples: Samples, rng: np.random.Generator) -> Samples:
    """Higher or lower by up to two semitones, and as much faster or slower."""
    factor = 2.0 ** (rng.choice([-1, 1]) * rng.uniform(0.7, 2.0) / 12)
    return np.asarray(scipy.signal.resample(samples, int(len(samples) / factor)), np.float32)


CHANGES: dict[str, Callable[[Samples, np.random.Generator], Samples]] = {
    "as it is": lambda samples, _: samples,
    "room": _room,
    "noise": _noise,
    "phone": _phone,
    "clipped": _clipped,
    "tone": _tone,
    "pitch": _pitch,
}


if __name__ == "__main__":
    main()
