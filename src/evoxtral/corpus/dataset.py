"""The Hugging Face dataset of a corpus: Parquet with the audio inside, splits, a card, a plot of the composition.

The files are laid out as the Hub and `datasets.load_dataset(FOLDER)` expect them, in row groups small enough to stream.
Audio is declared as encoded (`decode=False`), so that `clips[0]` works with `datasets` alone; decoding by it would need
torchcodec and FFmpeg's libraries. They are written through pyarrow, because `datasets` encodes audio only where
torchcodec is installed. `datasets` keeps what it has read by the folder's name and the patterns of its files: a digest
of the content is part of the names, so that two corpora never share an entry of its cache. Knows nothing of who wrote
or spoke the scripts, nor how a card is written.
"""

import hashlib
import io
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evoxtral.audio import SAMPLE_RATE_HZ, load_audio, read_clip, write_audio
from evoxtral.corpus.composition import SLICE_SHARES, target_tag_shares
from evoxtral.corpus.gates import GateReport, check
from evoxtral.data.clips import assign_splits
from evoxtral.data.corpus_config import CorpusConfig
from evoxtral.data.corpus_folder import CorpusFolder
from evoxtral.data.files import written_whole
from evoxtral.data.records import Clip, Script
from evoxtral.data.splits import SPLITS
from evoxtral.errors import AudioError, CorpusError
from evoxtral.tags import parse

if TYPE_CHECKING:
    import datasets

_ROWS_PER_GROUP = 64
_SHARD_BYTES = 400_000_000
PLOT = "composition.png"


@dataclass(slots=True)
class DatasetReport:
    """What was built.

    Attributes:
        clips: clips by split.
        left_out: reason -> number of clips that are in no split.
        digest: of all rows; part of the files' names, which are data/SPLIT-DIGEST-*.parquet.
        gates: what the composition of these clips came to; None before it is measured.
    """

    folder: Path
    clips: dict[str, list[Clip]]
    left_out: Counter[str] = field(default_factory=Counter)
    digest: str = ""
    gates: GateReport | None = None


def build(
    corpus: CorpusFolder,
    config: CorpusConfig,
    *,
    write_card: Callable[[CorpusConfig, DatasetReport], str],
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> DatasetReport:
    """Build the dataset folder from all good clips; an older one is replaced when the new one is complete.

    Args:
        write_card: the text of the folder's README.md, with front matter that names the files of each split.
        on_progress: called with the number of clips written and of all.

    Raises:
        CorpusError: there are no clips, or their splits cannot be drawn.
        AudioError: the audio of a clip cannot be read (validation would have set it aside).
    """
    with corpus.locked():
        report = assign(corpus, config)
        total = sum(map(len, report.clips.values()))
        if not total:
            raise CorpusError(
                f"{corpus.path} has no clips for a dataset: {describe_counts(report.left_out) or 'none were made'}"
            )
        with written_whole(corpus.dataset_path) as unfinished:
            digest = hashlib.blake2b(digest_size=8)
            done = 0
            for split, clips in report.clips.items():
                for _ in _write_split(corpus.path, unfinished / "data", split, clips, digest):
                    done += 1
                    on_progress(done, total)
            report.digest = digest.hexdigest()
            for path in (unfinished / "data").iterdir():
                split, rest = path.name.split("-", 1)
                path.rename(path.with_name(f"{split}-{report.digest}-{rest}"))
            spoken = [clip for clips in report.clips.values() for clip in clips]
            report.gates = check(_scripts_of(spoken, corpus.read_scripts()), spoken)
            plot_composition(spoken, unfinished / PLOT)
            (unfinished / "README.md").write_text(write_card(config, report), "utf-8")
    return report


def assign(corpus: CorpusFolder, config: CorpusConfig) -> DatasetReport:
    """Which clips go into which split, and why others go nowhere (`evoxtral.data.clips.assign_splits`).

    Raises:
        CorpusError: the folder's files are malformed, or a clip names a split that is none.
    """
    report = DatasetReport(corpus.dataset_path, {split: [] for split in SPLITS})
    for clip, split, reason in assign_splits(corpus, corpus.read_clips(), config.dataset):
        if split is None:
            report.left_out[str(reason)] += 1
        elif split in report.clips:
            report.clips[split].append(clip)
        else:
            raise CorpusError(f"clip {clip.id!r} is for an unknown split: {split!r}", f"use {', '.join(SPLITS)}")
    return report


def _scripts_of(clips: Sequence[Clip], scripts: Sequence[Script]) -> list[Script]:
    """The scripts that the clips speak, one each; recordings that came without a script stand for one themselves."""
    known = {script.id: script for script in scripts}
    return list(
        {
            clip.script_id: known.get(clip.script_id)
            or Script(
                id=clip.script_id,
                tagged_text=clip.tagged_text or "...",
                slice_type=clip.slice_type,
                domain=clip.domain,
                turns=clip.turns,
                told=clip.told,
                writer="recording",
            )
            for clip in clips
        }.values()
    )


# --- Parquet --------------------------------------------------------------------------------------------------------


def features() -> "datasets.Features":
    """The columns."""
    from datasets import Audio, Features, List, Value

    text = Value("string")
    return Features(
        {
            "audio": Audio(sampling_rate=SAMPLE_RATE_HZ, decode=False),
            "tagged_text": text,
            "plain_text": text,
            "tag_list": List(text),
            "slice_type": text,
            "domain": text,
            "voice": text,
            "engine": text,
            "duration_s": Value("float32"),
            "script_id": text,
            "clip_id": text,
            # One a tag; null where nobody labelled them.
            "told": List(Value("bool")),
            # One a turn of a dialogue; empty where one person speaks.
            "speakers": List(text),
            "turn_texts": List(text),
            "turn_voices": List(text),
        }
    )


def _row(folder: Path, clip: Clip) -> dict[str, Any]:
    parsed = parse(clip.tagged_text)
    return {
        "audio": {"bytes": _encoded(folder / clip.audio), "path": Path(clip.audio).name},
        "tagged_text": clip.tagged_text,
        "plain_text": parsed.plain_text,
        "tag_list": [tag.name for tag in parsed.tags],
        "slice_type": str(clip.slice_type),
        "domain": str(clip.domain),
        "voice": clip.voice,
        "engine": clip.engine,
        "duration_s": clip.duration_s,
        "script_id": clip.script_id,
        "clip_id": clip.id,
        "told": None if clip.told is None else list(clip.told),
        "speakers": [turn.speaker for turn in clip.turns],
        "turn_texts": [turn.tagged_text for turn in clip.turns],
        "turn_voices": [turn.voice for turn in clip.turns],
    }


def _encoded(path: Path) -> bytes:
    """The file as it is where it is mono at 16 kHz already; otherwise the same sound so, in FLAC."""
    try:
        read_clip(path)
        return path.read_bytes()
    except AudioError:  # damaged, or another format, which PyAV may know
        buffer = io.BytesIO()
        write_audio(buffer, load_audio(path), SAMPLE_RATE_HZ, suffix=".flac")
        return buffer.getvalue()


def _write_split(
    folder: Path, target: Path, split: str, clips: Sequence[Clip], digest: "hashlib.blake2b"
) -> Iterator[Clip]:
    """Write the Parquet files of a split, and add their rows to the digest; gives each clip that is done."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = features().arrow_schema
    shards = _shards(folder, clips)
    target.mkdir(parents=True, exist_ok=True)
    for number, shard in enumerate(shards):
        path = target / f"{split}-{number:05}-of-{len(shards):05}.parquet"
        # The audio is compressed already, and its bytes differ everywhere.
        with pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=["voice", "engine", "domain"]) as writer:
            for start in range(0, len(shard), _ROWS_PER_GROUP):
                group = shard[start : start + _ROWS_PER_GROUP]
                rows = [_row(folder, clip) for clip in group]
                digest.update(repr((split, rows)).encode("utf-8", "surrogatepass"))
                writer.write_table(pa.Table.from_pylist(rows, schema=schema))
                yield from group


def _shards(folder: Path, clips: Sequence[Clip]) -> list[list[Clip]]:
    shards: list[list[Clip]] = []
    size = _SHARD_BYTES
    for clip in clips:
        if size >= _SHARD_BYTES:
            shards.append([])
            size = 0
        shards[-1].append(clip)
        size += (folder / clip.audio).stat().st_size
    return shards


# --- plot -----------------------------------------------------------------------------------------------------------


def describe_counts(reasons: Counter[str]) -> str:
    """How many clips went nowhere, by reason; "" where none did."""
    return ", ".join(f"{reason}: {count}" for reason, count in sorted(reasons.items()) if count)


def plot_composition(clips: Sequence[Clip], path: Path) -> None:
    """Draw slices and tags against their targets, durations and voices, as a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 8), layout="constrained")
    FigureCanvasAgg(figure)
    (slices, durations), (tags, voices) = figure.subplots(2, 2)

    kinds = Counter(clip.slice_type for clip in clips)
    names = [str(kind) for kind in SLICE_SHARES]
    slices.bar(names, [100 * kinds[kind] / len(clips) for kind in SLICE_SHARES], color="#4c72b0")
    slices.scatter(names, [100 * share for share in SLICE_SHARES.values()], marker="_", s=900, color="black", zorder=3)
    slices.set(title="Slices, and their targets (line)", ylabel="% of clips")

    durations.hist([clip.duration_s for clip in clips], bins=40, color="#4c72b0")
    durations.set(title="Duration", xlabel="seconds", ylabel="clips")

    found = Counter(tag.name for clip in clips for tag in parse(clip.tagged_text).tags if tag.known)
    targets = target_tag_shares()
    places = range(len(targets))
    tags.barh(places, [100 * found[tag] / max(1, found.total()) for tag in targets], color="#dd8452")
    tags.scatter([100 * share for share in targets.values()], places, marker="|", s=120, color="black", zorder=3)
    tags.set_yticks(places, list(targets))
    tags.invert_yaxis()
    tags.set(title="Tags, and their targets (line)", xlabel="% of tags")

    spoken = Counter(clip.voice for clip in clips).most_common(20)
    voices.barh(range(len(spoken)), [100 * count / len(clips) for _, count in spoken], color="#55a868")
    voices.set_yticks(range(len(spoken)), [voice for voice, _ in spoken])
    voices.invert_yaxis()
    voices.set(title="Voices" + (" (20 most frequent)" if len(spoken) == 20 else ""), xlabel="% of clips")
    figure.savefig(path, dpi=110)
