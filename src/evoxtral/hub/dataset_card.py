"""The card of a dataset: front matter for the Hub, and the composition as it was measured.

Knows how a card is written; knows nothing of how the dataset was made, and holds no path of the machine it was made on.
"""

import json
from collections import Counter
from collections.abc import Sequence

from evoxtral.corpus.dataset import PLOT, DatasetReport, describe_counts
from evoxtral.data.corpus_config import CorpusConfig
from evoxtral.data.records import Clip
from evoxtral.markdown import escape, table

_USAGE = """```python
import io

import soundfile
from datasets import Audio, load_dataset

clips = load_dataset("OWNER/NAME", split="train")  # a folder's path will do; streaming=True fetches as it goes
samples, rate_hz = soundfile.read(io.BytesIO(clips[0]["audio"]["bytes"]))

# Or decoded by `datasets` itself, which needs torchcodec and FFmpeg's libraries:
clips = clips.cast_column("audio", Audio(sampling_rate=16_000))
```"""


def dataset_card(config: CorpusConfig, report: DatasetReport) -> str:
    """The text of README.md.

    Args:
        report: of a dataset whose composition was measured.
    """
    assert report.gates is not None
    clips = [clip for part in report.clips.values() for clip in part]
    held_out = ", ".join(map(escape, config.dataset.holdout_voices))
    sections = [
        f"# {escape(config.name)}",
        "Speech with tagged text: words with inline audio tags (ElevenLabs v3 vocabulary), CAPITALS on stressed words.",
        f"{len(clips)} clips, {_hours(clips):.2f} hours, {len({clip.script_id for clip in clips})} scripts.",
        "## Splits",
        table(
            ("split", "clips", "scripts", "hours", "voices"),
            [
                (split, len(part), len({clip.script_id for clip in part}), f"{_hours(part):.2f}", _voices(part))
                for split, part in report.clips.items()
            ],
        ),
        "Split by script, stratified by slice: no text of one split is heard in another."
        + (f" Voices heard in the test split only: {held_out}." if held_out else ""),
        f"Left out: {escape(describe_counts(report.left_out)) or 'nothing'}.",
        "## Composition",
        f"![composition]({PLOT})",
        table(
            ("requirement", "target", "measured", "met"),
            [
                (escape(gate.name), escape(gate.target), escape(gate.measured), "yes" if gate.passed else "no")
                for gate in report.gates.gates
            ],
        ),
        f"Words: {report.gates.diversity.words} in all, {report.gates.diversity.types} different; distinct pairs "
        f"{report.gates.diversity.distinct_2:.2f}, triples {report.gates.diversity.distinct_3:.2f}.",
        "## Voices and engines",
        table(
            ("engine", "voice", "clips"),
            [
                (escape(engine), escape(voice), count)
                for (engine, voice), count in sorted(Counter((clip.engine, clip.voice) for clip in clips).items())
            ],
        ),
        "## Reading it",
        "`audio` holds the encoded file of each clip (FLAC or Opus, mono, 16 kHz): no decoder is needed to load them.",
        _USAGE,
    ]
    return _front_matter(config.name, report) + "\n\n".join(sections) + "\n"


def _front_matter(name: str, report: DatasetReport) -> str:
    files = "\n".join(
        f"      - split: {split}\n        path: data/{split}-{report.digest}-*.parquet"
        for split, part in report.clips.items()
        if part
    )
    # A JSON string is a YAML string, whatever a name holds.
    return (
        "---\nlanguage:\n  - en\ntask_categories:\n  - automatic-speech-recognition\n  - text-to-speech\n"
        f"pretty_name: {json.dumps(name)}\ntags:\n  - audio-tags\n  - expressive-speech\n"
        f"configs:\n  - config_name: default\n    data_files:\n{files}\n---\n\n"
    )


def _hours(clips: Sequence[Clip]) -> float:
    return sum(clip.duration_s for clip in clips) / 3600


def _voices(clips: Sequence[Clip]) -> int:
    return len({clip.voice for clip in clips})
