"""Time of the offline writer and of all corpus gates over many scripts.

    python benchmarks/corpus_gates.py [--count 10000] [--output benchmarks/results/corpus_gates.txt]

The gates compare every pair of scripts, twice (without and with the names of their tags). Budget: 60 s for 10,000
scripts on two cores. On a busy machine look at the CPU seconds: an idle one needs about half of them on two cores.
"""

import argparse
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from evoxtral.corpus.gates import check
from evoxtral.corpus.writers.grammar import write_scripts

Result = TypeVar("Result")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()

    scripts, writing = timed(lambda: write_scripts(options.count, seed=options.seed))
    report, checking = timed(lambda: check(scripts))
    diversity = report.diversity
    red = [f"{gate.name}: {gate.measured} (target {gate.target})" for gate in report.gates if not gate.passed]
    lines = [
        f"# python benchmarks/corpus_gates.py --count {options.count} --seed {options.seed}",
        f"# {os.cpu_count()} cores, {platform.machine()}, {time.strftime('%Y-%m-%d')}, "
        f"load average {os.getloadavg()[0]:.1f}",
        f"writing            {writing}",
        f"all gates          {checking}",
        f"pairs compared     {options.count * (options.count - 1) // 2:,}",
        f"gates              {len(report.gates)}, {len(red)} missed",
        *(f"                   {gate}" for gate in red),
        f"words              {diversity.words}, {diversity.types} different, {diversity.mean_words:.1f} a script",
        f"type-token ratio   {diversity.type_token_ratio:.4f}",
        f"distinct pairs     {diversity.distinct_2:.3f}",
        f"distinct triples   {diversity.distinct_3:.3f}",
    ]
    text = "\n".join(lines) + "\n"
    print(text, end="")
    if options.output:
        options.output.write_text(text)


def timed(work: Callable[[], Result]) -> tuple[Result, str]:
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    result = work()
    wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
    return result, f"{wall_s:.1f} s, {cpu_s:.1f} s of CPU"


if __name__ == "__main__":
    main()
