"""One manifest of all training and test audio with what is known of each clip, in parts small enough to send.

    python pack_recordings.py --sets SETS --synthetic FOLDER... --output PACK --part-mb 40 [--for-words]

SETS holds `NAME.jsonl` and the unpacked NAME/ of the public sets; FOLDER is what `speak_training_texts.py` wrote.
Writes PACK/clips.jsonl and PACK/part-N/*.tar, which are unpacked into PACK where the tagger is trained. A line:
`{"id", "kind", "split", "speaker", "sound", "emotion", "words", "tags", "duration"}`; `sound` is the class of a clip
that is one vocal sound, `emotion` the acted emotion of a whole clip; a key that is missing is unknown. Splits: train,
validation (other speakers), test (the sets' own test speakers, and the bench's voices). `--for-words` is what
`../short-contexts/teach_short_contexts.py` reads: more plain speech, no test clips, FLAC made Opus. Knows nothing of
models.
"""

import argparse
import contextlib
import io
import json
import random
import tarfile
import zlib
from pathlib import Path
from typing import Any

# EmoDB's categories and ours; what is missing is unknown.
EMODB = {
    "anger": "angry",
    "happiness": "excited",
    "fear": "nervous",
    "sadness": "sad",
    "neutral": "neutral",
    "boredom": "neutral",
}

_SPEAKERS_FOR_ONE_IN_VALIDATION = 8
_SETS_WITH_VALIDATION = ("emogator", "fotaq", "librispeech_subset")
_PICOVOICE_CLIPS, _PICOVOICE_TRAINING_CLIPS = 360, 260
_MOST_PLAIN_FOTAQ_CLIPS = {"train": 2600, "validation": 300}
# Of Drascula's subtitles with what its actors say.
_LEAST_OVERLAP = 0.5
_TAR_BLOCK_BYTES = 512
_OPUS_BIT_RATE, _OPUS_OPTIONS = 28_000, {"application": "voip", "compression_level": "0"}


def is_validation(speaker: str) -> bool:
    """One speaker in eight, as in recipes/edge/make_corpora.py."""
    return zlib.crc32(speaker.encode()) % _SPEAKERS_FOR_ONE_IN_VALIDATION == 0


def sound_of(row: dict[str, Any]) -> str | None:
    """The class of an EmoGator burst, or None where its label and the detectors disagree."""
    seen = row.get("det", {})
    tag, tier = row["tag"], row["tier"]
    others = max(seen.get(k, 0) for k in ("laugh", "cry", "sigh", "gasp"))
    if tag in ("laughs", "sighs", "crying", "gasps") and tier in ("high", "medium"):
        return tag
    if seen.get("cough", 0) >= 0.6 and others < 0.15:
        return "cough"
    if tag == "none" and tier == "high":
        return "hum"
    if tag == "scream" or (tag == "burst_angry" and others < 0.2) or row.get("category") == "Pain":
        return "other"
    return None


def rows_of(sets: Path, seed: int = 1, *, for_words: bool = False) -> list[dict[str, Any]]:
    """One row of the manifest for each recording of the public sets that is used.

    Args:
        for_words: also the sets whose texts are doubtful, and all of the larger ones.
    """
    rng = random.Random(seed)

    def read(name: str) -> list[dict[str, Any]]:
        rows = [json.loads(line) for line in (sets / f"{name}.jsonl").open()]
        for row in rows:
            if row["split"] == "train" and is_validation(row["speaker"]) and name in _SETS_WITH_VALIDATION:
                row["split"] = "validation"
        return rows

    made: list[dict[str, Any]] = []

    def add(row: dict[str, Any], kind: str, **known: object) -> None:
        made.append(
            {
                "id": row["file"],
                "kind": kind,
                "split": row["split"],
                "speaker": row["speaker"],
                "duration": row["duration"],
                **{key: value for key, value in known.items() if value is not None},
            }
        )

    for row in read("emogator"):
        sound = sound_of(row)
        if sound is not None:
            add(row, "burst", sound=sound, tier=row["tier"], category=row.get("category"))
    for row in read("esc10"):
        add(row, "burst", sound=row["tag"], tier="gold")
    for row in read("megaglest"):
        add(
            row,
            "burst" if row["category"] == "die" else "speech",
            sound="other" if row["category"] == "die" else None,
            shout=row["category"] == "attack",
            category=row["category"],
        )
    for row in read("emodb"):
        add(row, "emodb", emotion=EMODB.get(row["category"]), category=row["category"])
    for row in read("thorsten_emotional"):
        add(
            row,
            "emodb",
            emotion={"amused": "excited", "angry": "angry", "neutral": "neutral"}.get(row["category"]),
            whisper=row["category"] == "whisper" or None,
            category=row["category"],
        )
    for row in read("librispeech_subset"):
        add(row, "plain", text=row["transcript"], neutral=True)
    pico = read("picovoice_s2i")
    rng.shuffle(pico)
    for index, row in enumerate(pico[:_PICOVOICE_CLIPS]):
        row["split"] = "train" if index < _PICOVOICE_TRAINING_CLIPS else "validation" if for_words else "test"
        add(row, "plain", text=row["transcript"], neutral=True)
    if for_words:
        for row in pico[_PICOVOICE_CLIPS:]:
            add(row, "plain", text=row["transcript"])
        for row in read("bass") + [row for row in read("drascula") if row.get("overlap", 0) >= _LEAST_OVERLAP]:
            if row["split"] == "train":
                add(row, "plain", doubtful=max(row.get("det", {}).values(), default=0) > 0.3 or None)
    fotaq = read("fotaq")
    rng.shuffle(fotaq)
    taken = {"train": 0, "validation": 0, "test": 0}
    for row in fotaq:
        # one character speaks a third of the set
        if row["speaker"] == "fotaq_joe" and rng.random() < 0.6 and row["tag"] == "none":
            continue
        if (
            not for_words
            and row["split"] != "test"
            and taken[row["split"]] >= _MOST_PLAIN_FOTAQ_CLIPS[row["split"]]
            and row["tag"] == "none"
        ):
            continue
        sound = {"laughs": "laughs", "sighs": "sighs", "clears throat": "clears throat", "sneeze": "sneeze"}.get(
            row["tag"]
        )
        taken[row["split"]] += 1
        doubtful = bool(sound is None and max(row.get("det", {}).values(), default=0) > 0.3)
        add(
            row,
            "burst" if sound else "plain",
            sound=sound,
            text=row["transcript"],
            doubtful=doubtful or None,
            shout=row["tag"].startswith("shouts") or None,
            tier="subtitle",
        )
    return made


def synthetic_rows(folder: Path) -> list[dict[str, Any]]:
    """One row for each clip that `speak_training_texts.py` wrote into a folder; its name tells the split."""
    made = []
    for line in (folder / "clips.jsonl").open():
        row = json.loads(line)
        made.append(
            {
                "id": f"{folder.name}/{row['file']}",
                "kind": "synthetic",
                "speaker": row["voice"],
                "text": row["text"],
                "split": "validation" if "validation" in folder.name else "train",
                "duration": row["duration"],
                "words": row["words"],
                "tags": row["tags"],
            }
        )
    return made


def as_opus(path: Path) -> bytes:
    """An audio file as mono Opus; soundfile tells formats by content, so that the name may stay."""
    import av
    import soundfile

    samples, rate_hz = soundfile.read(path, dtype="int16")
    file = io.BytesIO()
    with av.open(file, "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=rate_hz, options=_OPUS_OPTIONS)
        stream.bit_rate, stream.layout = _OPUS_BIT_RATE, "mono"
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = rate_hz, 0
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return file.getvalue()


def write_pack(rows: list[tuple[dict[str, Any], Path]], output: Path, most_bytes: float, *, opus: bool = False) -> int:
    """Write the manifest and the archives, none longer than `most_bytes`; returns how many archives there are."""
    output.mkdir(parents=True, exist_ok=True)
    part, size = 0, 0.0
    with contextlib.ExitStack() as archives, (output / "clips.jsonl").open("w") as manifest:
        archive: tarfile.TarFile | None = None
        for row, path in rows:
            data = as_opus(path) if opus and path.suffix == ".flac" else path.read_bytes()
            if archive is None or size + len(data) + 2 * _TAR_BLOCK_BYTES > most_bytes:
                archives.close()
                part, size = part + 1, 0.0
                (output / f"part-{part}").mkdir(exist_ok=True)
                archive = archives.enter_context(tarfile.open(output / f"part-{part}" / f"audio-{part}.tar", "w"))
            member = tarfile.TarInfo(row["id"])
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
            size += (len(data) + _TAR_BLOCK_BYTES - 1) // _TAR_BLOCK_BYTES * _TAR_BLOCK_BYTES + _TAR_BLOCK_BYTES
            manifest.write(json.dumps(row) + "\n")
    return part


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=Path, required=True)
    parser.add_argument("--synthetic", type=Path, nargs="*", default=[])
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--part-mb", type=float, default=40)
    parser.add_argument("--for-words", action="store_true", help="more plain speech, no test clips, smaller files")
    options = parser.parse_args()
    rows = [(row, options.sets / row["id"]) for row in rows_of(options.sets, for_words=options.for_words)]
    for folder in options.synthetic:
        rows += [(row, folder.parent / row["id"]) for row in synthetic_rows(folder)]
    if options.for_words:
        rows = [(row, path) for row, path in rows if row["split"] != "test"]
    parts = write_pack(rows, options.output, options.part_mb * 1e6, opus=options.for_words)
    print(f"{len(rows)} clips in {parts} parts")


if __name__ == "__main__":
    main()
