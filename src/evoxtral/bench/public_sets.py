"""Benchmark sets from any Hugging Face dataset with a column of audio and one of text.

The dataset is written as a benchmark set (see `testset`), its audio as it is encoded there, its tags read from their
dialect; the texts as they were stand in `original.jsonl` beside it, for scorers of that dialect. Knows datasets and
their columns; nothing of models or scores. Needs `datasets`.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from evoxtral.bench.testset import TestSet, load_testset
from evoxtral.data.files import write_atomically
from evoxtral.data.records import Reference
from evoxtral.errors import ScoreError
from evoxtral.tags.dialects import Note, read

_SOURCE = "source.json"
_ORIGINAL = "original.jsonl"
# Columns that hold the text, where none is named; the first that is there is taken.
_TEXT_COLUMNS = ("tagged_text", "sentence", "text", "transcript", "transcription")
_SUFFIXES = ((b"RIFF", ".wav"), (b"fLaC", ".flac"), (b"OggS", ".ogg"), (b"ID3", ".mp3"), (b"\xff\xfb", ".mp3"))


@dataclass(frozen=True, slots=True)
class DatasetSource:
    """What of which dataset is taken.

    Attributes:
        name: hub id, or a folder: saved by `datasets`, or of Parquet or audio files.
        config, split: of the dataset; `split` may be a slice such as "test[:100]".
        audio_column, text_column: by default the one that holds audio, and one of the usual names.
        dialect: of the tags in the text.
    """

    name: str
    split: str = "test"
    config: str | None = None
    audio_column: str | None = None
    text_column: str | None = None
    dialect: str = "elevenlabs"


def export_dataset(source: DatasetSource, folder: Path) -> tuple[TestSet, list[Note]]:
    """Write a dataset as a benchmark set; what an earlier call wrote of the same source is used again.

    A clip's id is the name of its audio file where the dataset has different names for all, else its number.

    Args:
        folder: of the set to write.

    Returns:
        The set, and a note for each tag that did not come through as it was (none for a set that was there already).

    Raises:
        ScoreError: `datasets` is not installed, the dataset cannot be read, has no such columns or holds no clips.
    """
    described = json.dumps(asdict(source), indent=1, ensure_ascii=False) + "\n"
    known = folder / _SOURCE
    if known.is_file() and known.read_text("utf-8") == described:
        return load_testset(folder), []
    rows = _load(source)
    audio_column, text_column = _columns(source, rows)
    import datasets

    rows = rows.select_columns([audio_column, text_column])
    # Undecoded, so that every clip is decoded as all other audio is.
    rows = rows.cast_column(audio_column, datasets.Audio(decode=False))
    known.unlink(missing_ok=True)
    (folder / "audio").mkdir(parents=True, exist_ok=True)
    references: list[Reference] = []
    originals: list[str] = []
    notes: list[Note] = []
    ids = _ids([Path(path).stem if path else "" for path in (one[audio_column]["path"] for one in rows)])
    for number, (id, row) in enumerate(zip(ids, rows, strict=True)):
        content = _content(row[audio_column])
        audio = f"audio/{number:06d}{_suffix(row[audio_column]['path'], content)}"
        (folder / audio).write_bytes(content)
        text = str(row[text_column] or "")
        said = read(text, source.dialect)
        notes += said.notes
        references.append(Reference(id=id, text=said.text, audio=audio, duration_s=_duration_s(folder / audio)))
        originals.append(json.dumps({"id": id, "text": text}, ensure_ascii=False) + "\n")
    if not references:
        raise ScoreError(f"{source.name} holds no clips in {source.split!r}", "name another split")
    lines = "".join(reference.model_dump_json(exclude_none=True) + "\n" for reference in references)
    write_atomically(folder / "references.jsonl", lines.encode())
    write_atomically(folder / _ORIGINAL, "".join(originals).encode())
    write_atomically(known, described.encode())
    return load_testset(folder), notes


def _load(source: DatasetSource) -> Any:
    try:
        import datasets
    except ImportError as error:
        raise ScoreError("reading datasets needs the library datasets", "pip install 'evoxtral[corpus]'") from error
    folder = Path(source.name)
    is_saved = (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file()
    try:
        if not is_saved:
            return datasets.load_dataset(source.name, source.config, split=source.split)
        loaded = datasets.load_from_disk(source.name)
        return loaded[source.split] if isinstance(loaded, datasets.DatasetDict) else loaded
    except Exception as error:  # the hub, the disk and the format each have their own
        reason = " ".join(str(error).split())
        raise ScoreError(
            f"{source.name}: cannot be read as a dataset: {reason}", "name a hub id or a folder, and one of its splits"
        ) from error


def _columns(source: DatasetSource, rows: Any) -> tuple[str, str]:
    import datasets

    names = list(rows.column_names)
    audio = source.audio_column or next(
        (name for name, feature in rows.features.items() if isinstance(feature, datasets.Audio)), None
    )
    text = source.text_column or next((name for name in _TEXT_COLUMNS if name in names), None)
    for column, option in ((audio, "--audio-column"), (text, "--text-column")):
        if column is None or column not in names:
            missing = f"no column {column!r}" if column else "no column that is known to be it"
            raise ScoreError(f"{source.name} has {missing}; it has {', '.join(names)}", f"name one with {option}")
    assert audio is not None
    assert text is not None
    return audio, text


def _ids(names: Sequence[str]) -> list[str]:
    if all(names) and len(set(names)) == len(names):
        return list(names)
    return [f"{number:06d}" for number in range(len(names))]


def _content(audio: dict[str, Any]) -> bytes:
    return bytes(audio["bytes"]) if audio["bytes"] is not None else Path(audio["path"]).read_bytes()


def _suffix(path: str | None, content: bytes) -> str:
    """Of the file that the audio came from; by its first bytes where it has no name."""
    named = Path(path).suffix.lower() if path else ""
    return named or next((suffix for start, suffix in _SUFFIXES if content.startswith(start)), ".bin")


def _duration_s(path: Path) -> float:
    from evoxtral.audio import SAMPLE_RATE_HZ, load_audio

    return round(len(load_audio(path)) / SAMPLE_RATE_HZ, 3)
