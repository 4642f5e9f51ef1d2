"""Time of each step from nothing to a dataset, by the command line: scripts, speech, validation, dataset, gates.

    python benchmarks/corpus_pipeline.py [--count 1000] [--listener edge] [--folder FOLDER] [--output FILE]

Each figure is of a whole process and its children. On a busy machine look at the CPU seconds: an idle one needs about
half of them on two cores. An existing folder is resumed: its finished steps take no time.
"""

import argparse
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from evoxtral.data.corpus_folder import CorpusFolder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1_000)
    parser.add_argument("--listener", default="edge")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary) / "corpus"
        lines = [
            f"# python benchmarks/corpus_pipeline.py --count {options.count} --listener {options.listener}",
            f"# {os.cpu_count()} cores, {platform.machine()}, {time.strftime('%Y-%m-%d')}, "
            f"load average {os.getloadavg()[0]:.1f}",
            run("scripts", folder, "--count", options.count),
            run("synthesize", folder),
            run("validate", folder, "--listener", options.listener),
            run("build", folder),
            run("check", folder),
        ]
        clips = CorpusFolder(folder).read_clips()
        rejected = CorpusFolder(folder).read_set_aside()
        seconds = sum(clip.duration_s for clip in clips)
        lines.append(f"clips        {len(clips)}, {seconds / 3600:.2f} hours, {len(rejected)} set aside")
    text = "\n".join(lines) + "\n"
    print(text, end="")
    if options.output:
        options.output.write_text(text)


def run(step: str, folder: Path, *arguments: object) -> str:
    """Run a step; its name, times and exit code."""
    program = "import sys; from evoxtral.cli.main import main; main(sys.argv[1:])"
    before, start_s = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-c", program, "corpus", step, str(folder), *map(str, arguments)]
    code = subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode
    wall_s, after = time.perf_counter() - start_s, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return f"{step:12} {wall_s:8.1f} s {cpu_s:8.1f} s of CPU, exit code {code}"


if __name__ == "__main__":
    main()
