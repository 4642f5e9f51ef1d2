"""A benchmark set: a folder of clips with what was said in them.

    references.jsonl   one `Reference` a line; `audio` is relative to the folder
    audio/             the clips, Opus
    training.jsonl     tagged texts of the training split ({"id", "text"}), from which the floors learn
    README.md          where the clips come from and under which licence

Knows the folder and how one is made of a corpus; knows nothing of models or scores.
"""

import io
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from random import Random

from evoxtral.bench.records import Prediction, Reference, read_records
from evoxtral.corpus.folder import CorpusFolder, write_atomically
from evoxtral.corpus.records import Clip
from evoxtral.corpus.splits import TEST, TRAIN
from evoxtral.errors import ScoreError

PACKAGED_FOLDER = Path(__file__).parent / "testset"
"""The set that ships with the package."""

_REFERENCES, _TRAINING, _AUDIO = "references.jsonl", "training.jsonl", "audio"
MAX_AUDIO_BYTES = 8_000_000
# Enough texts for the floors; more would only make the set larger.
_MAX_TRAINING_TEXTS = 2000


@dataclass(frozen=True, slots=True)
class TestSet:
    """A benchmark set that was read.

    Attributes:
        folder: where it lies.
        references: in file order.
        training_texts: tagged texts of the training split; None where the set has none.
    """

    __test__ = False  # not a test, whatever pytest makes of its name

    folder: Path
    references: tuple[Reference, ...]
    training_texts: tuple[str, ...] | None

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
    """Read a benchmark set; by default the one that ships.

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
    return TestSet(references.parent, tuple(read_records(references, Reference)), texts)


def export_testset(corpus_folder: Path, out: Path, max_bytes: int = MAX_AUDIO_BYTES, *, seed: int = 0) -> TestSet:
    """Make a benchmark set of a corpus: as many clips of its test split as fit, evenly over slices and voices.

    The same corpus, size and seed give the same set.

    Args:
        corpus_folder: a corpus with spoken clips.
        out: folder to write; files of an earlier set in it are replaced.
        max_bytes: size of all audio files together.

    Raises:
        ScoreError: the corpus has no test split, or not one clip fits.
    """
    from evoxtral.corpus.dataset import assign

    corpus = CorpusFolder(corpus_folder)
    clips = assign(corpus, corpus.read_scripts(), corpus.read_config()).clips
    if not clips[TEST]:
        raise ScoreError(f"{corpus_folder} has no clips in its test split", "synthesise the corpus first")

    written = _write_clips(corpus, _deal(clips[TEST], seed), out, max_bytes)
    if not written:
        raise ScoreError(f"no clip of {corpus_folder} fits into {max_bytes} bytes", "allow more bytes")
    for stale in set((out / _AUDIO).iterdir()) - {out / clip.audio for clip in written if clip.audio}:
        stale.unlink()
    _write_lines(out / _REFERENCES, [reference.model_dump(exclude_none=True) for reference in written])

    training = list({clip.script_id: clip.tagged_text for clip in clips[TRAIN]}.items())
    Random(seed).shuffle(training)
    _write_lines(out / _TRAINING, [{"id": id, "text": text} for id, text in training[:_MAX_TRAINING_TEXTS]])
    return load_testset(out)


def _deal(clips: Sequence[Clip], seed: int) -> Iterator[Clip]:
    """The clips in random order, taking turns over slices, and within a slice over voices."""
    random = Random(seed)
    shuffled = sorted(clips, key=lambda clip: clip.id)
    random.shuffle(shuffled)
    slices = _take_turns(shuffled, lambda clip: clip.voice)
    return iter(_take_turns(slices, lambda clip: clip.slice_type))


def _take_turns(clips: Sequence[Clip], key: Callable[[Clip], str]) -> list[Clip]:
    groups: dict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        groups[key(clip)].append(clip)
    rounds = zip_longest(*(groups[name] for name in sorted(groups)))
    return [clip for turn in rounds for clip in turn if clip is not None]


def _write_clips(corpus: CorpusFolder, clips: Iterator[Clip], out: Path, max_bytes: int) -> list[Reference]:
    from evoxtral.audio import SAMPLE_RATE_HZ, load_audio, write_audio

    (out / _AUDIO).mkdir(parents=True, exist_ok=True)
    written = []
    left = max_bytes
    for clip in clips:
        encoded = io.BytesIO()
        write_audio(encoded, load_audio(corpus.path / clip.audio), SAMPLE_RATE_HZ, suffix=".opus")
        if len(encoded.getbuffer()) > left:
            break
        left -= len(encoded.getbuffer())
        audio = f"{_AUDIO}/{clip.id}.opus"
        (out / audio).write_bytes(encoded.getvalue())
        written.append(
            Reference(
                id=clip.id,
                text=clip.tagged_text,
                script_id=clip.script_id,
                slice_type=clip.slice_type,
                domain=clip.domain,
                voice=clip.voice,
                engine=clip.engine,
                duration_s=round(clip.duration_s, 3),
                audio=audio,
            )
        )
    return written


def _write_lines(path: Path, lines: Sequence[dict[str, object]]) -> None:
    write_atomically(path, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode())
