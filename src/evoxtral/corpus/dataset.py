"""The Hugging Face dataset of a corpus: Parquet with the audio inside, splits, a card with the measured composition.

The files are laid out as the Hub and `datasets.load_dataset(FOLDER)` expect them, in row groups small enough to stream.
They are written through pyarrow, because `datasets` encodes audio only where torchcodec is installed; read them there,
or anywhere with `cast_column("audio", Audio(decode=False))`. Knows nothing of who wrote or spoke the scripts.
"""

import io
import shutil
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
from evoxtral.data.records import Clip, Script
from evoxtral.data.splits import SPLITS
from evoxtral.errors import AudioError, CorpusError
from evoxtral.tags import parse

if TYPE_CHECKING:
    import datasets

_ROWS_PER_GROUP = 64
_SHARD_BYTES = 400_000_000
_PLOT = "composition.png"


@dataclass(slots=True)
class DatasetReport:
    """What was built.

    Attributes:
        clips: clips by split.
        left_out: reason -> number of clips that are in no split.
    """

    folder: Path
    clips: dict[str, list[Clip]]
    left_out: Counter[str] = field(default_factory=Counter)


def build(
    corpus: CorpusFolder,
    config: CorpusConfig,
    *,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> DatasetReport:
    """Build the dataset folder from all good clips; an older one is replaced when the new one is complete.

    Args:
        on_progress: called with the number of clips written and of all.

    Raises:
        CorpusError: there are no clips, or their splits cannot be drawn.
        AudioError: the audio of a clip cannot be read (validation would have set it aside).
    """
    scripts = corpus.read_scripts()
    with corpus.locked():
        report = assign(corpus, config)
        total = sum(map(len, report.clips.values()))
        if not total:
            raise CorpusError(
                f"{corpus.path} has no clips for a dataset: {_count(report.left_out) or 'none were made'}"
            )
        unfinished = corpus.path / ".dataset.tmp"
        shutil.rmtree(unfinished, ignore_errors=True)
        done = 0
        for split, clips in report.clips.items():
            for _ in _write_split(corpus.path, unfinished / "data", split, clips):
                done += 1
                on_progress(done, total)
        spoken = [clip for clips in report.clips.values() for clip in clips]
        gates = check(_scripts_of(spoken, scripts), spoken)
        plot_composition(spoken, unfinished / _PLOT)
        (unfinished / "README.md").write_text(_card(config, report, gates), "utf-8")
        shutil.rmtree(corpus.dataset_path, ignore_errors=True)
        unfinished.rename(corpus.dataset_path)
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
            "audio": Audio(sampling_rate=SAMPLE_RATE_HZ),
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


def _write_split(folder: Path, target: Path, split: str, clips: Sequence[Clip]) -> Iterator[Clip]:
    """Write the Parquet files of a split; gives each clip that is done."""
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
                writer.write_table(pa.Table.from_pylist([_row(folder, clip) for clip in group], schema=schema))
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


# --- card and plot --------------------------------------------------------------------------------------------------


def _card(config: CorpusConfig, report: DatasetReport, gates: GateReport) -> str:
    """The dataset card: front matter for the Hub, and what was measured."""
    clips = [clip for part in report.clips.values() for clip in part]
    filled = [split for split, part in report.clips.items() if part]
    files = "\n".join(f"      - split: {split}\n        path: data/{split}-*.parquet" for split in filled)
    split_rows = [
        (split, len(part), len({clip.script_id for clip in part}), f"{_hours(part):.2f}", _names(part))
        for split, part in report.clips.items()
    ]
    sections = [
        f"# {config.name}",
        "Speech with tagged text: words with inline audio tags (ElevenLabs v3 vocabulary), CAPITALS on stressed words.",
        f"{len(clips)} clips, {_hours(clips):.2f} hours, {len({clip.script_id for clip in clips})} scripts.",
        "## Splits",
        _table(("split", "clips", "scripts", "hours", "voices"), split_rows),
        "Split by script, stratified by slice: no text of one split is heard in another."
        + (
            f" Voices heard in the test split only: {', '.join(config.dataset.holdout_voices)}."
            if config.dataset.holdout_voices
            else ""
        ),
        f"Left out: {_count(report.left_out) or 'nothing'}.",
        "## Composition",
        f"![composition]({_PLOT})",
        _table(
            ("requirement", "target", "measured", "met"),
            [(gate.name, gate.target, gate.measured, "yes" if gate.passed else "no") for gate in gates.gates],
        ),
        f"Words: {gates.diversity.words} in all, {gates.diversity.types} different; distinct pairs "
        f"{gates.diversity.distinct_2:.2f}, triples {gates.diversity.distinct_3:.2f}.",
        "## Voices and engines",
        _table(
            ("engine", "voice", "clips"),
            [(*key, count) for key, count in sorted(Counter((clip.engine, clip.voice) for clip in clips).items())],
        ),
        "## Reading it",
        "```python\nfrom datasets import Audio, load_dataset\n\n"
        'clips = load_dataset("FOLDER_OR_HUB_ID", split="train", streaming=True)\n'
        'clips = clips.cast_column("audio", Audio(decode=False))  # bytes; without this, torchcodec decodes them\n```',
    ]
    return (
        "---\nlanguage:\n  - en\ntask_categories:\n  - automatic-speech-recognition\n  - text-to-speech\n"
        f"pretty_name: {config.name}\ntags:\n  - audio-tags\n  - expressive-speech\n"
        f"configs:\n  - config_name: default\n    data_files:\n{files}\n---\n\n" + "\n\n".join(sections) + "\n"
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def _hours(clips: Sequence[Clip]) -> float:
    return sum(clip.duration_s for clip in clips) / 3600


def _names(clips: Sequence[Clip]) -> int:
    return len({clip.voice for clip in clips})


def _count(reasons: Counter[str]) -> str:
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


# --- Hub ------------------------------------------------------------------------------------------------------------


def push(
    corpus: CorpusFolder,
    repository: str,
    *,
    private: bool = True,
    endpoint: str | None = None,
    token: str | None = None,
) -> str:
    """Upload the built dataset to the Hugging Face Hub; returns its address.

    Args:
        endpoint, token: the Hub and the right to write there; None leaves both to the environment.

    Raises:
        CorpusError: nothing was built, or the Hub refuses.
    """
    from huggingface_hub import HfApi

    if not (corpus.dataset_path / "README.md").exists():
        raise CorpusError(f"{corpus.path} has no dataset yet", f"build it: evoxtral corpus build {corpus.path}")
    api = HfApi(endpoint=endpoint, token=token)
    try:
        address = api.create_repo(repository, repo_type="dataset", private=private, exist_ok=True)
        api.upload_folder(repo_id=repository, repo_type="dataset", folder_path=corpus.dataset_path)
    except Exception as error:  # the Hub's own errors, and those of whichever HTTP library its client uses
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise CorpusError(
            f"the Hub did not take {repository}: {reason}",
            "it needs the network, and a token that may write: set HF_TOKEN, or: hf auth login",
        ) from error
    return str(address)
