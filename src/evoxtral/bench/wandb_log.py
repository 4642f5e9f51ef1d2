"""Scores in Weights & Biases: figures, tables, clips that can be listened to, and the HTML report.

Works offline too (`WANDB_MODE=offline`). Knows reports and wandb's API.
"""

from pathlib import Path
from typing import Any

from evoxtral.bench.report import worst_clips
from evoxtral.bench.rewards import clip_reward
from evoxtral.bench.scoring import Report
from evoxtral.bench.summary import System
from evoxtral.bench.testset import TestSet
from evoxtral.errors import ScoreError


def log_to_wandb(
    report: Report, system: System, *, project: str, html: Path | None = None, testset: TestSet | None = None
) -> None:
    """Log a report as one finished run of job type "bench".

    Args:
        html: the page that `write_report` made, to go with it.
        testset: where the audio of the clips lies.

    Raises:
        ScoreError: wandb is not installed.
    """
    try:
        import wandb
    except ImportError as error:
        raise ScoreError("logging needs wandb", "pip install 'evoxtral[wandb]'") from error

    values = {name: figure.value for name, figure in report.figures.items() if figure.value is not None}
    for name, baseline in report.baselines.items():
        for figure, estimate in baseline.baseline_figures.items():
            if estimate.value is not None:
                values[f"baselines.{name}.{figure}"] = estimate.value
    tags = wandb.Table(columns=["tag", "said", "written", "precision", "recall", "f1"])
    for tag, figures in report.per_tag.items():
        counts = [int(report.totals[f"tag/{side}/{tag}"]) for side in ("reference", "hypothesis")]
        tags.add_data(tag, *counts, *(figures[name].value for name in ("precision", "recall", "f1")))
    clips = wandb.Table(columns=["id", "audio", "said", "heard", "score"])
    for clip in worst_clips(report):
        audio: Any = None
        if testset is not None and clip.record.audio is not None:
            audio = wandb.Audio(str(testset.audio_path(clip.record)))
        score = clip_reward(clip.texts, clip.counts)
        clips.add_data(clip.record.id, audio, clip.texts.reference.source, clip.texts.hypothesis.source, score)
    logged = {"bench/" + name.replace(".", "/"): value for name, value in values.items()}
    logged |= {"bench/per_tag": tags, "bench/worst_clips": clips}
    if html is not None:
        logged["bench/report"] = wandb.Html(html.read_text("utf-8"))
    run = wandb.init(project=project, job_type="bench", name=system.name, config=dict(system.facts))
    try:
        run.log(logged)
    finally:
        run.finish()
