"""Each step from nothing to a dataset and a training run, by the command line: its time, and what came of the scripts.

    python benchmarks/corpus_pipeline.py [--count 1000] [--seed 0] [--listener edge] [--folder FOLDER]
        [--train BASE] [--output FILE]

With --train the dataset is trained on for a few steps, by recipes/voxtral-lora.yaml and a small model of that family:
BASE is a folder in Hugging Face format, such as `save_tiny_voxtral` of tests/tiny_models.py writes.

Each figure is of a whole process and its children. On a busy machine look at the CPU seconds: an idle one needs about
half of them on two cores. An existing folder is resumed: its finished steps take no time.
"""

import argparse
import os
import platform
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from evoxtral.data.corpus_folder import CorpusFolder

_RECIPE = Path(__file__).parents[1] / "recipes" / "voxtral-lora.yaml"
_SMOKE_RUN = (
    "optimisation.max_steps=20",
    "optimisation.max_minutes=null",
    "optimisation.batch_size=2",
    "optimisation.precision=float32",
    "optimisation.compile=false",
    "optimisation.workers=0",
    "evaluation.every_steps=20",
    "evaluation.batch_size=4",
    "evaluation.max_new_tokens=24",
    "tracker=none",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--listener", default="edge")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--train", type=Path)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary) / "corpus"
        lines = [
            f"# python benchmarks/corpus_pipeline.py --count {options.count} --seed {options.seed} "
            f"--listener {options.listener}" + (" --train BASE" if options.train else ""),
            f"# {os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, "
            f"{time.strftime('%Y-%m-%d')}, load average {os.getloadavg()[0]:.1f}",
            run("corpus", "scripts", folder, "--count", options.count, "--seed", options.seed),
            run("corpus", "synthesize", folder),
            run("corpus", "validate", folder, "--listener", options.listener),
            run("corpus", "build", folder),
            run("corpus", "check", folder),
        ]
        if options.train:
            lines += train(folder, options.train, Path(temporary) / "run")
        lines += outcome(CorpusFolder(folder))
    text = "\n".join(lines) + "\n"
    print(text, end="")
    if options.output:
        options.output.write_text(text)


def outcome(corpus: CorpusFolder) -> list[str]:
    """What came of the scripts: clips and hours, and by slice how many were spoken and set aside, and why."""
    scripts, clips, aside = corpus.read_scripts(), corpus.read_clips(), corpus.read_set_aside()
    reasons = {clip.id: clip.reason for clip in aside}
    hours = sum(clip.duration_s for clip in clips) / 3600
    lines = [f"clips        {len(clips)}, {hours:.2f} hours, {len(reasons)} set aside"]
    for kind, written in Counter(script.slice_type for script in scripts).items():
        spoken = [clip for clip in clips if clip.slice_type is kind]
        found = Counter(reasons[clip.id] for clip in spoken if clip.id in reasons)
        why = ", ".join(f"{number} {reason}" for reason, number in found.items())
        lines.append(
            f"  {kind:10} {written:4} scripts {len(spoken):4} spoken {found.total():4} set aside {why}".rstrip()
        )
    dialogues = {script.id for script in scripts if script.turns}
    spoken = [clip for clip in clips if clip.script_id in dialogues]
    lost = sum(clip.id in reasons for clip in spoken)
    return [*lines, f"  {'dialogues':10} {len(dialogues):4} scripts {len(spoken):4} spoken {lost:4} set aside"]


def train(folder: Path, base: Path, output: Path) -> list[str]:
    """A few steps on the built dataset; time and losses."""
    sources = [
        f"data.{use}=[{{path: {folder / 'dataset'}, split: {split}{limit}}}]"
        for use, split, limit in (("train", "train", ""), ("validation", "validation", ", limit: 4"))
    ]
    places = (f"base_folder={base}", f"output={output}")
    printed: list[str] = []
    line = run("train", _RECIPE, "--until", "sft", *sources, *_SMOKE_RUN, *places, printed=printed)
    losses = re.findall(r"step (\d+)/\d+ loss ([\d.]+)", printed[0])
    return [line, "  loss of step " + ", ".join(f"{step}: {loss}" for step, loss in losses)]


def run(*arguments: object, printed: list[str] | None = None) -> str:
    """Run a command; its name, times and exit code. What it prints goes into `printed`."""
    program = "import sys; from evoxtral.cli.main import main; main(sys.argv[1:])"
    before, start_s = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-c", program, *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if printed is not None:
        printed.append(done.stdout)
    wall_s, after = time.perf_counter() - start_s, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    name = str(arguments[1] if arguments[0] == "corpus" else arguments[0])
    return f"{name:12} {wall_s:8.1f} s {cpu_s:8.1f} s of CPU, exit code {done.returncode}"


if __name__ == "__main__":
    main()
