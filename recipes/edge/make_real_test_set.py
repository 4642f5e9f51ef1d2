"""The bench's set of real recordings, made from public sets: people who are in nobody's training data.

    EVOXTRAL_RECORDINGS_DIR=SETS python recipes/edge/make_real_test_set.py \\
        --output src/evoxtral/bench/testset_real [--corpora data/edge]

SETS holds `NAME.jsonl` and `NAME.tar` of emodb, emogator, esc10, librispeech_subset and of the other sets that
`make_corpora.py` and `tagger/pack_recordings.py` train on. Only `test` clips are taken, and the set is refused if one
of its clips or speakers is in the training or validation part of a set by either script's reading, or in a corpus of
`--corpora`. The same sets give the same files, byte for byte: what is not changed keeps its bytes, what is changed is
encoded without dates or random numbers. Knows where clips come from and what was done to them; nothing of models.

    plain                     LibriSpeech's readers
    quiet, phone, clipped     some of these clips again: 30 dB less, 300 to 3,400 Hz, 20 dB too much
    sounds                    a stranger's laugh, sob, sigh or gasp between two clips of one reader
    other sounds              the same with hums, sneezes, cries of pain, babies: no tag is right
    emotion                   EmoDB's actors, German: tags are scored, words are not
"""

import argparse
import hashlib
import io
import json
import sys
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import av
import numpy as np
import scipy.signal
from numpy.typing import NDArray

from evoxtral.data.files import write_atomically
from evoxtral.data.recording_sets import SAMPLE_RATE_HZ, Recording, RecordingSet
from evoxtral.data.records import Clip, Reference
from evoxtral.errors import CorpusError
from evoxtral.settings import read_settings

_HERE = Path(__file__).parent
sys.path[:0] = [str(_HERE), str(_HERE / "tagger")]

import make_corpora  # noqa: E402
import pack_recordings  # noqa: E402

Samples = NDArray[np.float32]

# What may be shipped, and whose work it is.
LICENCES = {
    "emodb": ("CC0-1.0", "EmoDB: F. Burkhardt, A. Paeschke, M. Rolfes, W. Sendlmeier, B. Weiss, TU Berlin"),
    "emogator": ("Apache-2.0", "EmoGator: F. W. Buhl"),
    "esc10": ("CC-BY-3.0", "ESC-10: K. J. Piczak"),
    "librispeech_subset": (
        "CC-BY-4.0",
        "LibriSpeech: V. Panayotov, G. Chen, D. Povey, S. Khudanpur, and LibriVox",
    ),
}
# ESC-10's clips come from freesound.org: sound, author and licence by the set's LICENSE file.
FREESOUND = {
    "5-151085-A": ("PickleJones", "CC0-1.0"),
    "5-187979-A": ("fliegermatze", "CC-BY-3.0"),
    "5-194533-A": ("wjoojoo", "CC-BY-3.0"),
    "5-198411-F": ("klankbeeld", "CC-BY-3.0"),
    "5-201274-A": ("chrisbrowne626", "CC-BY-3.0"),
    "5-202220-A": ("Huminaatio", "CC0-1.0"),
    "5-220026-A": ("Reitanna", "CC0-1.0"),
    "5-220027-A": ("Reitanna", "CC0-1.0"),
    "5-221518-A": ("Danieka", "CC0-1.0"),
    "5-221593-A": ("ahjteam", "CC0-1.0"),
}
# EmoDB's categories that our tags have a word for; boredom and disgust have none.
EMOTIONS = {"anger": "angry", "happiness": "excited", "fear": "nervous", "sadness": "sad", "neutral": None}

_WORDS_FILE = _HERE / "real-set-words.tsv"
_MOST_A_SOUND = 20
_BURST_LENGTH_S = (0.35, 2.2)
_CARRIER_LENGTH_S = (1.9, 5.1)
_CHANGED_A_SPEAKER, _CHANGED_LENGTH_S = 2, (2.5, 7.5)
_HUMS, _BABIES = 24, 2
_SNEEZE_S, _BABY_S = 1.5, 2.0
_PAUSE_S, _FADE_S = 0.25, 0.015
# Of a sound against the speech around it.
_LEVEL_DB = {"sighs": -6.0, "gasps": -3.0}
_QUIET_DB, _CLIPPED_DB = -30.0, 20.0
_PHONE_BAND_HZ = (300.0, 3400.0)
_BIT_RATE = 20_000
_AUDIBLE = 1e-3


@dataclass(frozen=True, slots=True)
class Part:
    """A recording of which a clip is made."""

    recordings: RecordingSet
    item: Recording

    @property
    def source(self) -> dict[str, str]:
        licence, attribution = LICENCES[self.recordings.name]
        if self.recordings.name == "esc10":
            author, licence = FREESOUND[self.name.split("_")[0]]
            attribution = f"{author}, freesound.org sound {self.name.split('-')[1]}; in {attribution}"
        return {
            "set": self.recordings.name,
            "file": self.item.file,
            "speaker": self.item.speaker,
            "licence": licence,
            "attribution": attribution,
        }

    @property
    def name(self) -> str:
        return Path(self.item.file).stem

    def read(self) -> Samples:
        return self.recordings.read(self.item)


@dataclass(frozen=True, slots=True)
class Made:
    """One clip of the set: its reference without the path, its file, and where it comes from."""

    reference: Reference
    content: bytes
    parts: tuple[Part, ...]
    changes: str = ""


def agreeing_tag(item: Recording) -> str | None:
    """The tag of an EmoGator burst where its label, its category and a detector agree; None where they do not.

    Categories are what people were asked to express; detections YAMNet's.
    """
    found = {name: item.detections.get(name, 0.0) for name in ("laugh", "cry", "sigh", "gasp", "cough")}
    bursts = item.bursts or 0
    category = item.category or ""
    agrees = {
        "laughs": category == "Amusement" and bursts >= 4 and max(found["cry"], found["sigh"], found["gasp"]) < 0.5,
        "crying": category in ("Sadness", "Distress")
        and found["cry"] >= 0.3
        and max(found["sigh"], found["laugh"]) < 0.5,
        "sighs": bursts <= 2
        and found["sigh"] >= 0.3
        and found["cry"] < 0.3
        and max(found["gasp"], found["cough"]) < 0.5,
        "gasps": category in ("Fear", "Surprise (Positive)", "Surprise (Negative)", "Awe")
        and found["gasp"] >= 0.25
        and found["cry"] < 0.5,
    }
    is_sure = item.tier == "high" or item.tag in ("sighs", "gasps")
    return item.tag if is_sure and agrees.get(item.tag, False) else None


def other_sound(item: Recording) -> str | None:
    """The name of an EmoGator burst that none of our tags names; None for all others, doubtful ones among them."""
    if item.tag == "none" and item.tier == "high" and max(item.detections.values(), default=0.0) < 0.5:
        return "hum"
    if item.category == "Pain" and max(item.detections.get(name, 0.0) for name in ("cry", "sigh")) < 0.5:
        return "pain"
    return None


def make_all(sets: Path) -> list[Made]:
    """All clips of the set, in the order in which reports show their kinds."""
    readers = RecordingSet(sets / "librispeech_subset.jsonl")
    words = dict(line.split("\t") for line in _WORDS_FILE.read_text("utf-8").splitlines())
    read = [Part(readers, item) for item in _tests(readers) if Path(item.file).stem in words]
    missing = set(words) - {part.name for part in read}
    if missing:
        raise CorpusError(f"{readers.manifest} lacks test clip {min(missing)}", "name the whole set")
    return [
        *_plain(read, words),
        *_changed(read, words),
        *_with_sounds(sets, read, words),
        *_acted(RecordingSet(sets / "emodb.jsonl")),
    ]


def _tests(recordings: RecordingSet) -> list[Recording]:
    return [item for item in recordings.recordings if item.split == "test"]


def _plain(read: Sequence[Part], words: dict[str, str]) -> Iterable[Made]:
    for part in read:
        reference = _reference(f"plain-{part.name}", words[part.name], "plain", part, unit=part.name)
        yield Made(reference, part.recordings.read_bytes(part.item), (part,))


def _changed(read: Sequence[Part], words: dict[str, str]) -> Iterable[Made]:
    """A few clips of each reader, made quiet, narrow and clipped."""
    sos = scipy.signal.butter(4, _PHONE_BAND_HZ, "bandpass", fs=SAMPLE_RATE_HZ, output="sos")
    conditions: dict[str, tuple[str, Callable[[Samples], Samples]]] = {
        "quiet": (f"{_QUIET_DB:g} dB", lambda sound: sound * _gain(_QUIET_DB)),
        "phone": ("300 to 3,400 Hz", lambda sound: scipy.signal.sosfilt(sos, sound).astype(np.float32)),
        "clipped": (
            f"{_CLIPPED_DB:g} dB over full scale, clipped, halved",
            lambda sound: np.clip(sound * (_gain(_CLIPPED_DB) / np.max(np.abs(sound))), -1, 1) / 2,
        ),
    }
    least_s, most_s = _CHANGED_LENGTH_S
    for name, (changes, change) in conditions.items():
        for speaker in dict.fromkeys(part.item.speaker for part in read):
            fit = [p for p in read if p.item.speaker == speaker and least_s <= p.item.duration_s <= most_s]
            for part in fit[:_CHANGED_A_SPEAKER]:
                reference = _reference(f"{name}-{part.name}", words[part.name], name, part, unit=part.name)
                yield Made(reference, _as_opus(change(part.read())), (part,), changes)


def _with_sounds(sets: Path, read: Sequence[Part], words: dict[str, str]) -> Iterable[Made]:
    bursts = RecordingSet(sets / "emogator.jsonl")
    least_s, most_s = _BURST_LENGTH_S
    fit = [item for item in _tests(bursts) if least_s <= item.duration_s <= most_s]
    chosen: list[tuple[str, str | None, Part]] = []
    for tag in ("laughs", "crying", "sighs", "gasps"):
        found = [item for item in fit if agreeing_tag(item) == tag]
        chosen += [(tag, tag, Part(bursts, item)) for item in _spread(found)[:_MOST_A_SOUND]]
    hums = [item for item in fit if other_sound(item) == "hum"]
    chosen += [("hum", None, Part(bursts, item)) for item in _spread(hums)[:_HUMS]]
    chosen += [("pain", None, Part(bursts, item)) for item in _spread([i for i in fit if other_sound(i) == "pain"])]
    noises = RecordingSet(sets / "esc10.jsonl")
    chosen += [("sneeze", None, Part(noises, item)) for item in _tests(noises) if item.tag == "sneeze"]
    babies = _spread([item for item in _tests(noises) if item.tag == "baby_cry"])[:_BABIES]
    chosen += [("baby", None, Part(noises, item)) for item in babies]

    least_s, most_s = _CARRIER_LENGTH_S
    carriers: dict[str, list[Part]] = {}
    for part in read:
        if least_s <= part.item.duration_s <= most_s:
            carriers.setdefault(part.item.speaker, []).append(part)
    readers = sorted(speaker for speaker, parts in carriers.items() if len(parts) > 1)
    for number, (kind, tag, sound) in enumerate(chosen):
        parts = carriers[readers[number % len(readers)]]
        turn = number // len(readers)
        before, after = parts[turn % len(parts)], parts[(turn + 1 + turn // len(parts)) % len(parts)]
        if before is after:
            after = parts[(turn + 1) % len(parts)]
        said = [words[before.name], *([] if tag is None else [f"[{tag}]"]), words[after.name]]
        reference = _reference(
            f"{kind}-{sound.name}",
            " ".join(said),
            "other sounds" if tag is None else "sounds",
            before,
            unit=f"{sound.recordings.name}-{sound.item.speaker}",
        )
        samples = _between(before.read(), _cut(kind, sound.read()), after.read(), _LEVEL_DB.get(kind, 0.0))
        changes = "three recordings joined with pauses of 0.25 s, the sound's level set by that of the speech"
        duration_s = round(len(samples) / SAMPLE_RATE_HZ, 3)
        yield Made(
            reference.model_copy(update={"duration_s": duration_s}),
            _as_opus(samples),
            (before, sound, after),
            changes,
        )


def _acted(recordings: RecordingSet) -> Iterable[Made]:
    for item in _tests(recordings):
        if item.category not in EMOTIONS:
            continue
        part, tag = Part(recordings, item), EMOTIONS[item.category]
        text = item.transcript if tag is None else f"[{tag}] {item.transcript}"
        reference = _reference(f"emotion-{part.name}", text.strip(), "emotion", part, unit=part.name)
        yield Made(reference.model_copy(update={"language": "de"}), recordings.read_bytes(item), (part,))


def _spread(items: Sequence[Recording]) -> list[Recording]:
    """Items in a fixed mixed order, speakers taking turns."""
    by_speaker: dict[str, list[Recording]] = {}
    for item in sorted(items, key=lambda item: zlib.crc32(item.file.encode())):
        by_speaker.setdefault(item.speaker, []).append(item)
    return [item for turn in zip_longest(*by_speaker.values()) for item in turn if item is not None]


def _reference(id: str, text: str, kind: str, part: Part, *, unit: str) -> Reference:
    return Reference(
        id=id,
        text=text,
        script_id=unit,
        slice_type=kind,
        voice=f"{part.recordings.name}/{part.item.speaker}",
        engine="recorded",
        duration_s=part.item.duration_s,
    )


def _cut(kind: str, sound: Samples) -> Samples:
    """The loudest stretch of a long recording; others whole."""
    length_s = {"sneeze": _SNEEZE_S, "baby": _BABY_S}.get(kind)
    if length_s is None:
        return sound
    length = round(length_s * SAMPLE_RATE_HZ)
    energy = np.concatenate([[0.0], np.cumsum(np.square(sound, dtype=np.float64))])
    first = int(np.argmax(energy[length:] - energy[:-length]))
    return sound[first : first + length]


def _between(before: Samples, sound: Samples, after: Samples, level_db: float) -> Samples:
    level = _level(np.concatenate([before, after]))
    sound = sound * np.float32(level * _gain(level_db) / _level(sound))
    sound = sound / max(1.0, float(np.max(np.abs(sound))) / 0.95)
    fade = np.linspace(0, 1, round(_FADE_S * SAMPLE_RATE_HZ), dtype=np.float32)
    sound[: len(fade)] *= fade
    sound[-len(fade) :] *= fade[::-1]
    pause = np.zeros(round(_PAUSE_S * SAMPLE_RATE_HZ), np.float32)
    return np.concatenate([before, pause, sound, pause, after])


def _level(samples: Samples) -> float:
    heard = samples[np.abs(samples) > _AUDIBLE]
    return float(np.sqrt(np.mean(np.square(heard, dtype=np.float64)))) if len(heard) else 1.0


def _gain(level_db: float) -> float:
    return float(10 ** (level_db / 20))


def _as_opus(samples: Samples) -> bytes:
    """Mono Opus. Bit-exact, because an Ogg stream's usual serial number is drawn at random."""
    file = io.BytesIO()
    with av.open(file, "w", format="ogg", options={"fflags": "+bitexact"}) as container:
        options = {"application": "voip", "flags": "+bitexact"}
        stream = container.add_stream("libopus", rate=SAMPLE_RATE_HZ, options=options)
        stream.bit_rate, stream.layout = _BIT_RATE, "mono"
        integers = np.round(np.clip(samples, -1, 1) * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(integers[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = SAMPLE_RATE_HZ, 0
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return file.getvalue()


def trained_on(sets: Path, corpora: Path | None = None) -> tuple[set[str], set[str]]:
    """Files and speakers (`SET/SPEAKER`) of everything that is trained or validated on.

    By `make_corpora.py`'s splits, by the tagger's manifest, and by the clips of corpora that were made.
    """
    files: set[str] = set()
    speakers: set[str] = set()
    sources = make_corpora.Sources(sets, sets, sets)
    for manifest in sorted(sets.glob("*.jsonl")):
        for item in sources.recording_set(manifest.stem).recordings:
            if item.split != "test":
                files.add(item.file)
                speakers.add(f"{manifest.stem}/{item.speaker}")
    for row in pack_recordings.rows_of(sets):
        if row["split"] != "test":
            files.add(row["id"])
            speakers.add(f"{Path(row['id']).parent}/{row['speaker']}")
    for folder in sorted(corpora.glob("*/clips.jsonl")) if corpora else []:
        if not folder.parent.name.startswith("test"):
            for line in folder.read_text("utf-8").splitlines():
                clip = Clip.model_validate_json(line)
                speakers.add(clip.voice.removeprefix("recorded/").replace(".", "/", 1))
    return files, speakers


def check_unseen(made: Sequence[Made], files: set[str], speakers: set[str]) -> None:
    """Refuse a set of which a recording or a speaker is in the training material.

    Raises:
        CorpusError: one is; it names the first.
    """
    for clip in made:
        for source in (part.source for part in clip.parts):
            if source["file"] in files or f"{source['set']}/{source['speaker']}" in speakers:
                raise CorpusError(
                    f"{clip.reference.id}: {source['file']} or its speaker is trained on", "take another clip"
                )


def write_set(made: Sequence[Made], output: Path, speakers: set[str]) -> None:
    """Write references, sources, the training speakers that the set was checked against, and the audio."""
    audio = output / "audio"
    audio.mkdir(parents=True, exist_ok=True)
    references: list[dict[str, Any]] = []
    sources: list[dict[str, Any]] = []
    for clip in made:
        path = audio / f"{clip.reference.id}.opus"
        write_atomically(path, clip.content)
        references.append(
            clip.reference.model_copy(update={"audio": f"audio/{path.name}"}).model_dump(exclude_none=True)
        )
        sources.append(
            {
                "id": clip.reference.id,
                "audio_sha256": hashlib.sha256(clip.content).hexdigest(),
                "changes": clip.changes,
                "recordings": [part.source for part in clip.parts],
            }
        )
    for stale in set(audio.iterdir()) - {audio / f"{clip.reference.id}.opus" for clip in made}:
        stale.unlink()
    for name, lines in (("references.jsonl", references), ("sources.jsonl", sources)):
        write_atomically(output / name, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode())
    used = {part.recordings.name for clip in made for part in clip.parts}
    known = [speaker for speaker in sorted(speakers) if speaker.split("/")[0] in used]
    write_atomically(output / "training_speakers.json", (json.dumps(known) + "\n").encode())


def main() -> None:
    """Make the set, or refuse to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--corpora", type=Path, help="corpora that were trained on: no speaker may be in one")
    chosen = parser.parse_args()
    sets = read_settings().recordings_dir
    if sets is None:
        raise SystemExit("set EVOXTRAL_RECORDINGS_DIR to the folder of NAME.jsonl and NAME.tar")
    made = make_all(sets)
    files, speakers = trained_on(sets, chosen.corpora)
    check_unseen(made, files, speakers)
    write_set(made, chosen.output, speakers)
    kinds = {clip.reference.slice_type: 0 for clip in made}
    for clip in made:
        kinds[clip.reference.slice_type] += 1
    minutes = sum(clip.reference.duration_s or 0 for clip in made) / 60
    print(f"{len(made)} clips, {minutes:.1f} minutes, {sum(len(clip.content) for clip in made)} bytes: {kinds}")


if __name__ == "__main__":
    main()
