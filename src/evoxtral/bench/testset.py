"""A benchmark set: a folder of clips with what was said in them.

    references.jsonl   one `Reference` a line; `audio` is relative to the folder
    audio/             the clips, Opus
    training.jsonl     tagged texts of the training split ({"id", "text"}), from which the baselines learn
    README.md          where the clips come from and under which licence
    whisper-base.jsonl what Whisper base heard of the clips whose words are scored (`Prediction` lines), for comparison

Two ship with the package, by name: real recordings first, then synthetic ones.
Knows the folder and how one is made of a corpus; knows nothing of models or scores.
"""

import io
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from random import Random

from evoxtral.data.clips import ALL, ListedClip, read_clips
from evoxtral.data.files import file_stem, write_atomically
from evoxtral.data.json_lines import read_records
from evoxtral.data.records import Prediction, Reference
from evoxtral.data.splits import TEST, TRAIN
from evoxtral.errors import ScoreError

PACKAGED_FOLDER = Path(__file__).parent / "testset"
"""The synthetic set, which also holds the texts from which baselines learn."""

REAL, SYNTHETIC = "real", "synthetic"
PACKAGED: Mapping[str, Path] = {REAL: Path(__file__).parent / "testset_real", SYNTHETIC: PACKAGED_FOLDER}
"""The sets that ship, by name, in the order in which they are reported."""
TITLES: Mapping[str, str] = {REAL: "Real recordings", SYNTHETIC: "Synthetic set"}

_REFERENCES, _TRAINING, _AUDIO, _BASE = "references.jsonl", "training.jsonl", "audio", "whisper-base.jsonl"
MAX_AUDIO_BYTES = 8_000_000
_Dealt = tuple[Path, ListedClip]
# Enough texts for the baselines; more would only make the set larger.
_MAX_TRAINING_TEXTS = 2000


@dataclass(frozen=True, slots=True)
class TestSet:
    """A benchmark set that was read.

    Attributes:
        folder: where it lies.
        references: in file order.
        training_texts: tagged texts of the training split; None where the set has none.
        base_texts: by id, what Whisper base heard of the clips whose words are scored; None if the set does not say.
    """

    __test__ = False  # not a test, whatever pytest makes of its name

    folder: Path
    references: tuple[Reference, ...]
    training_texts: tuple[str, ...] | None
    base_texts: Mapping[str, str] | None = None

    def audio_path(self, reference: Reference) -> Path:
        """The clip's audio file.

        Raises:
            ScoreError: the reference names none, or it is missing.
        """
        if reference.audio is None:
            raise ScoreError(f"clip {reference.id} of {self.folder} names no audio", 'each line needs "audio"')
        path = self.folder / reference.audio
        if not path.is_file():
            raise ScoreError(f"{path} is missing", "restore the benchmark set, or remove the clip's line")
        return path


def load_testset(path: Path = PACKAGED_FOLDER) -> TestSet:
    """Read a benchmark set; by default the synthetic one that ships.

    Args:
        path: its folder, or a file of references, beside which audio and training texts lie.

    Raises:
        ScoreError: it is no benchmark set, or one of its files is malformed.
    """
    references = path if path.is_file() else path / _REFERENCES
    if not references.is_file():
        raise ScoreError(f"{path} is no benchmark set: {_REFERENCES} is missing", "name a folder that holds one")
    training = references.parent / _TRAINING
    texts = tuple(line.text for line in read_records(training, Prediction)) if training.is_file() else None
    base = references.parent / _BASE
    heard = {line.id: line.text for line in read_records(base, Prediction)} if base.is_file() else None
    return TestSet(references.parent, tuple(read_records(references, Reference)), texts, heard)


def find_testset(name: str) -> Path:
    """Where a benchmark set lies: one that ships by its name, others by their path."""
    return PACKAGED.get(name) or Path(name)


def packaged_set_of(ids: Collection[str]) -> str:
    """The name of the packaged set whose clips these are; the synthetic one if they are of none."""
    for name, folder in PACKAGED.items():
        references = folder / _REFERENCES
        if references.is_file() and any(line.id in ids for line in read_records(references, Reference)):
            return name
    return SYNTHETIC


def export_testset(
    corpora: Path | Sequence[Path],
    out: Path,
    max_bytes: int = MAX_AUDIO_BYTES,
    *,
    training: Sequence[Path] = (),
    seed: int = 0,
) -> TestSet:
    """Make a benchmark set of corpora: as many test clips as fit, evenly over corpora, slices and voices.

    The same corpora, size and seed give the same set.

    Args:
        corpora: corpora, as `evoxtral.data.clips.read_clips` reads them; without `training` their test splits are
            taken, with it all their clips.
        out: folder to write; files of an earlier set in it are replaced.
        max_bytes: size of all audio files together.
        training: corpora from which the baselines learn; by default the training splits of `corpora`.

    Raises:
        ScoreError: there are no test clips, two have the same id, or not one fits.
    """
    folders = [corpora] if isinstance(corpora, Path) else corpora
    tested = [(folder, clip) for folder in folders for clip in read_clips(folder, ALL if training else TEST)]
    learnt = {
        clip.script_id or clip.id: clip.text
        for folder in training or folders
        for clip in read_clips(folder, ALL if training else TRAIN)
    }
    if not tested:
        raise ScoreError(f"{corpora} has no clips in its test split", "synthesise the corpus first")
    doubled = [id for id, count in Counter(clip.id for _, clip in tested).items() if count > 1]
    if doubled:
        raise ScoreError(f"clip {doubled[0]!r} is in two corpora", "name corpora whose clips have different ids")

    written = _write_clips(_deal(tested, seed), out, max_bytes)
    if not written:
        raise ScoreError(f"no clip fits into {max_bytes} bytes", "allow more bytes")
    for stale in set((out / _AUDIO).iterdir()) - {out / clip.audio for clip in written if clip.audio}:
        stale.unlink()
    _write_lines(out / _REFERENCES, [reference.model_dump(exclude_none=True) for reference in written])
    texts = [(id, text) for id, text in learnt.items() if text]
    Random(seed).shuffle(texts)
    _write_lines(out / _TRAINING, [{"id": id, "text": text} for id, text in texts[:_MAX_TRAINING_TEXTS]])
    return load_testset(out)


def _deal(clips: Sequence[_Dealt], seed: int) -> list[_Dealt]:
    """The clips in random order, taking turns over corpora, in a corpus over slices, and in a slice over voices."""
    shuffled = sorted(clips, key=lambda clip: clip[1].id)
    Random(seed).shuffle(shuffled)
    by_voice = _take_turns(shuffled, lambda clip: clip[1].voice or "")
    by_slice = _take_turns(by_voice, lambda clip: clip[1].slice_type or "")
    return _take_turns(by_slice, lambda clip: str(clip[0]))


def _take_turns(clips: Sequence[_Dealt], key: Callable[[_Dealt], str]) -> list[_Dealt]:
    groups: dict[str, list[_Dealt]] = defaultdict(list)
    for clip in clips:
        groups[key(clip)].append(clip)
    rounds = zip_longest(*(groups[name] for name in sorted(groups)))
    return [clip for turn in rounds for clip in turn if clip is not None]


def _write_clips(clips: Sequence[_Dealt], out: Path, max_bytes: int) -> list[Reference]:
    (out / _AUDIO).mkdir(parents=True, exist_ok=True)
    written = []
    left = max_bytes
    for _, clip in clips:
        content = _as_opus(clip)
        if len(content) > left:
            break
        left -= len(content)
        audio = f"{_AUDIO}/{file_stem(clip.id)}.opus"
        write_atomically(out / audio, content)
        written.append(
            Reference(
                id=clip.id,
                text=clip.text,
                script_id=clip.script_id,
                slice_type=clip.slice_type,
                domain=clip.domain,
                voice=clip.voice,
                engine=clip.engine,
                duration_s=None if clip.duration_s is None else round(clip.duration_s, 3),
                audio=audio,
            )
        )
    return written


def _as_opus(clip: ListedClip) -> bytes:
    """The clip's file if it is Opus already, so that it loses nothing twice; else the clip encoded."""
    from evoxtral.audio import SAMPLE_RATE_HZ, load_audio, write_audio

    content = clip.audio.read_bytes()
    if Path(clip.audio.name).suffix == ".opus":
        return content
    encoded = io.BytesIO()
    samples = load_audio(io.BytesIO(content), name=clip.audio.name)
    write_audio(encoded, samples, SAMPLE_RATE_HZ, suffix=".opus")
    return encoded.getvalue()


def _write_lines(path: Path, lines: Sequence[dict[str, object]]) -> None:
    write_atomically(path, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode())
