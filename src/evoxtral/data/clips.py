"""The reader of clips: what a corpus folder, a dataset that `corpus build` wrote, a saved one or one on the hub holds.

All give the same clips: those that validation set aside are left out, and splits are the ones that `corpus build`
draws. Clips are listed one by one with their texts; their audio is read when it is asked for, so that a source may be
far larger than memory. Needs `pyarrow` for Parquet and `datasets` for saved datasets and those on the hub; a corpus
folder needs neither. Knows nothing of what clips are used for.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict

from evoxtral.data.corpus_config import DatasetConfig
from evoxtral.data.corpus_folder import CorpusFolder
from evoxtral.data.journal import Journal
from evoxtral.data.records import Id, InsidePath, Turn
from evoxtral.data.splits import SplitDraw, may_speak
from evoxtral.errors import CorpusError
from evoxtral.tags import parse

if TYPE_CHECKING:
    import pyarrow.parquet

ALL = "all"
"""The split that stands for all of them."""

_NEEDED_COLUMNS = ("audio", "tagged_text")
_KNOWN_COLUMNS = ("script_id", "slice_type", "domain", "voice", "engine", "duration_s")
# Lists of one length: a dialogue's speakers, what each says and by which voice; and one value a tag.
_TURN_COLUMNS = ("speakers", "turn_texts", "turn_voices")
_TOLD_COLUMN = "told"
# Row groups whose audio is held: readers that go through a file side by side are in one or two of them.
_HELD_GROUPS = 3


@dataclass(frozen=True, slots=True)
class StoredAudio:
    """The encoded audio of a clip, wherever it lies.

    Attributes:
        name: of the file that it is or was; its suffix tells the format.
        read_bytes: reads it, from any thread; raises OSError.
    """

    name: str
    read_bytes: Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class ListedClip:
    """A clip whose audio is not read yet.

    Attributes:
        id: unique in its source.
        text: tagged text; "" where nothing is said.
        split: "train", "validation", "test", or what its source calls it.
        script_id, slice_type, domain, voice, engine, duration_s, told: as in the corpus; None where the source does not
            say.
        turns: of a dialogue, each with its voice; empty where one person speaks.
    """

    id: str
    text: str
    audio: StoredAudio
    split: str
    script_id: str | None = None
    slice_type: str | None = None
    domain: str | None = None
    voice: str | None = None
    engine: str | None = None
    duration_s: float | None = None
    turns: tuple[Turn, ...] = ()
    told: tuple[bool, ...] | None = None


def read_clips(source: str | Path, split: str = ALL) -> Iterator[ListedClip]:
    """The clips of a source in one split, or in all.

    Args:
        source: a corpus folder, a folder of Parquet files (such as `corpus build` writes), a dataset saved by
            `datasets`, or a dataset's hub id.

    Raises:
        CorpusError: there is no such source, it cannot be read, it is malformed, or has no such split.
    """
    folder = Path(source)
    if (folder / "clips.jsonl").is_file():
        return _from_corpus(folder, split)
    if (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file():
        return _from_library(str(source), split, is_saved=True)
    if folder.is_dir():
        return _from_parquet(folder, split)
    if folder.exists():
        raise CorpusError(f"{source} is a file", "name a corpus folder, or the folder of a dataset")
    return _from_library(str(source), split, is_saved=False)


# --- corpus folders -------------------------------------------------------------------------------------------------


class Spoken(Protocol):
    """What decides the split of a clip."""

    @property
    def id(self) -> str: ...
    @property
    def script_id(self) -> str | None: ...
    @property
    def tagged_text(self) -> str: ...
    @property
    def slice_type(self) -> str | None: ...
    @property
    def voices(self) -> tuple[str, ...]: ...
    @property
    def split(self) -> str | None: ...


SpokenClip = TypeVar("SpokenClip", bound=Spoken)

SET_ASIDE = "set aside by validation"


class _ClipLine(BaseModel):
    """What the reader needs of a line of `clips.jsonl`; of clips made by hand nothing more is asked than the first."""

    model_config = ConfigDict(frozen=True, title="clip")

    id: Id
    tagged_text: str
    audio: InsidePath
    script_id: Id | None = None
    split: str | None = None
    slice_type: str | None = None
    domain: str | None = None
    voice: str | None = None
    engine: str | None = None
    duration_s: float | None = None
    turns: tuple[Turn, ...] = ()
    told: tuple[bool, ...] | None = None

    @property
    def voices(self) -> tuple[str, ...]:
        return tuple(voice for voice in (self.voice, *(turn.voice for turn in self.turns)) if voice)


def assign_splits(
    corpus: CorpusFolder, clips: Iterable[SpokenClip], config: DatasetConfig
) -> Iterator[tuple[SpokenClip, str | None, str | None]]:
    """Each clip with its split, or without one and with the reason.

    A clip that names its split keeps it; the others follow their script, drawn over all scripts in their order as
    synthesis drew them, whatever has been spoken so far. Recordings that came without a script stand for one
    themselves. No clip of a held-out voice is trained on.

    Args:
        clips: gone through twice; the last clip of an id counts.

    Raises:
        CorpusError: the folder's files are malformed, or splits cannot be drawn.
    """
    rejected = {clip.id for clip in corpus.read_set_aside()}
    draw = SplitDraw(config)
    splits = {script.id: draw.draw(script.tagged_text, script.slice_type) for script in corpus.iterate_scripts()}
    last: dict[str, int] = {}
    for number, clip in enumerate(clips):
        last[clip.id] = number
        script = clip.script_id or clip.id
        if clip.split is None and clip.id not in rejected and script not in splits:
            splits[script] = draw.draw(clip.tagged_text or "...", clip.slice_type or _slice_of(clip.tagged_text))
    for number, clip in enumerate(clips):
        if last[clip.id] != number:
            continue
        if clip.id in rejected:
            yield clip, None, SET_ASIDE
            continue
        split = clip.split or splits[clip.script_id or clip.id]
        if all(may_speak(voice, split, config) for voice in clip.voices or ("",)):
            yield clip, split, None
        else:
            yield clip, None, f"voice not for the {split} split"


def _slice_of(text: str) -> str:
    return "light" if parse(text).tags else "plain"


def _from_corpus(folder: Path, wanted: str) -> Iterator[ListedClip]:
    corpus = CorpusFolder(folder)
    journal = Journal(folder / "clips.jsonl", _ClipLine)
    for clip, split, _ in assign_splits(corpus, journal, corpus.read_config().dataset):
        if split is not None and wanted in (ALL, split):
            path = folder / clip.audio
            yield ListedClip(
                id=clip.id,
                text=clip.tagged_text,
                audio=StoredAudio(path.name, path.read_bytes),
                split=split,
                script_id=clip.script_id,
                slice_type=clip.slice_type,
                domain=clip.domain,
                voice=clip.voice,
                engine=clip.engine,
                duration_s=clip.duration_s,
                turns=clip.turns,
                told=clip.told,
            )


# --- Parquet --------------------------------------------------------------------------------------------------------


def _from_parquet(folder: Path, wanted: str) -> Iterator[ListedClip]:
    files = sorted(path for path in folder.rglob("*.parquet") if not path.name.startswith("."))
    if not files:
        raise CorpusError(
            f"{folder} holds no clips: neither a corpus folder (clips.jsonl) nor a dataset",
            f"make one: evoxtral corpus scripts {folder}",
        )
    try:
        import pyarrow.parquet as pq
    except ImportError:
        raise CorpusError(f"{folder}: Parquet cannot be read", "pip install 'evoxtral[corpus]'") from None
    splits = {path: _split_of(path) for path in files}
    if wanted not in (ALL, *splits.values()):
        raise CorpusError(f"{folder}: no split {wanted!r}; it has {', '.join(sorted(set(splits.values())))}")
    held = _HeldGroups()
    for path in files:
        if wanted in (ALL, splits[path]):
            try:
                with pq.ParquetFile(path) as file:
                    yield from _rows(path, file, splits[path], held)
            except (OSError, ValueError) as error:  # pyarrow's errors are of these kinds
                raise CorpusError(f"{path} cannot be read: {' '.join(str(error).split())}") from error


def _split_of(path: Path) -> str:
    """The split that the name of a Parquet file tells, such as "train" of train-00000-of-00004.parquet."""
    return path.stem.split("-", 1)[0]


def _rows(path: Path, file: "pyarrow.parquet.ParquetFile", split: str, held: "_HeldGroups") -> Iterator[ListedClip]:
    names = set(file.schema_arrow.names)
    _check_columns(str(path), names)
    # A nested column is named by its leaf.
    columns = [name for name in ("tagged_text", "clip_id", *_KNOWN_COLUMNS) if name in names]
    lists = [f"{name}.list.element" for name in (*_TURN_COLUMNS, _TOLD_COLUMN) if name in names]
    number = 0
    for group in range(file.num_row_groups):
        table = file.read_row_group(group, columns=[*columns, *lists, "audio.path"])
        for row, values in enumerate(table.to_pylist()):
            named = (values.get("audio") or {}).get("path")
            audio = StoredAudio(named or f"{split}-{number}", partial(held.read, path, group, row))
            yield _listed(values, split, number, audio)
            number += 1


class _HeldGroups:
    """The audio of the row groups that were read last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._groups: OrderedDict[tuple[Path, int], Any] = OrderedDict()

    def read(self, path: Path, group: int, row: int) -> bytes:
        import pyarrow.parquet as pq

        with self._lock:
            column = self._groups.pop((path, group), None)
            if column is None:
                with pq.ParquetFile(path) as file:
                    column = file.read_row_group(group, columns=["audio.bytes"]).column("audio")
            self._groups[path, group] = column
            if len(self._groups) > _HELD_GROUPS:
                self._groups.popitem(last=False)
        content = column[row].as_py()["bytes"]
        if content is None:
            raise OSError("the dataset holds no audio for it")
        return bytes(content)


# --- datasets saved by the library, and on the hub ------------------------------------------------------------------


def _from_library(source: str, wanted: str, *, is_saved: bool) -> Iterator[ListedClip]:
    try:
        import datasets
    except ImportError:
        raise CorpusError(
            f"{source}: no such corpus folder, and datasets cannot be read", "pip install 'evoxtral[corpus]'"
        ) from None
    try:
        loaded = datasets.load_from_disk(source) if is_saved else datasets.load_dataset(source)
    except Exception as error:  # the hub, the disk and the format each have their own
        reason = " ".join(str(error).split())
        raise CorpusError(f"{source}: neither a corpus folder nor a readable dataset: {reason}") from error
    splits: dict[str, Any] = dict(loaded) if isinstance(loaded, datasets.DatasetDict) else {wanted: loaded}
    if wanted != ALL and wanted not in splits:
        raise CorpusError(f"{source}: no split {wanted!r}; it has {', '.join(splits)}")
    for split, rows in splits.items():
        if wanted not in (ALL, split):
            continue
        _check_columns(source, set(rows.column_names))
        # Undecoded: the bytes are decoded as those of a corpus folder are.
        encoded = rows.select_columns(["audio"]).cast_column("audio", datasets.Audio(decode=False))
        for number, values in enumerate(rows.remove_columns("audio")):
            yield _listed(values, split, number, StoredAudio(f"{split}-{number}", partial(_read_row, encoded, number)))


def _read_row(rows: Any, number: int) -> bytes:
    audio = rows[number]["audio"]
    return bytes(audio["bytes"]) if audio["bytes"] is not None else Path(audio["path"]).read_bytes()


def _check_columns(source: str, names: set[str]) -> None:
    missing = [name for name in _NEEDED_COLUMNS if name not in names]
    if missing:
        raise CorpusError(f"{source} has no column {missing[0]!r}; it has {', '.join(sorted(names))}")


def _listed(values: dict[str, Any], split: str, number: int, audio: StoredAudio) -> ListedClip:
    known = {name: values[name] for name in _KNOWN_COLUMNS if values.get(name) is not None}
    name = values.get("clip_id")
    told = values.get(_TOLD_COLUMN)
    return ListedClip(
        f"{split}-{number}" if name is None else str(name),
        values["tagged_text"],
        audio,
        split,
        **known,
        turns=tuple(
            Turn(speaker=speaker, tagged_text=text, voice=voice)
            for speaker, text, voice in zip(*(values.get(name) or () for name in _TURN_COLUMNS), strict=True)
        ),
        told=None if told is None else tuple(told),
    )
