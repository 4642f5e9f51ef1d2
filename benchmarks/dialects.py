"""Ten thousand random texts each way through every dialect: what can be said survives, the rest is told.

    python benchmarks/dialects.py

The checks are those of tests/tags/test_dialects.py, which runs fewer of them. Exits with 1 where one fails.
"""

import random
import sys
import time
from pathlib import Path

from evoxtral.tags.dialects import write

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "tags"))

from test_dialects import OTHERS, check_back_and_there, check_there_and_back, ours, theirs

TEXTS = 10_000


def main() -> int:
    failures = 0
    print(
        f"{'dialect':12} {'ours and back':>14} {'with a note':>12} {'theirs and back':>16} {'with a note':>12} {'s':>6}"
    )
    for dialect in OTHERS:
        rng = random.Random(f"bench:{dialect}")
        started = time.perf_counter()
        noted = noted_back = failed = failed_back = 0
        for _ in range(TEXTS):
            text = ours(rng, noise=0.0 if rng.random() < 0.7 else 0.2)
            noted += bool(write(text, dialect).notes)
            try:
                check_there_and_back(text, dialect)
            except AssertionError:
                failed += 1
                print(f"{dialect}: {text!r}", file=sys.stderr)
        for _ in range(TEXTS):
            text = theirs(rng, dialect)
            try:
                noted_back += not check_back_and_there(text, dialect)
            except AssertionError:
                failed_back += 1
                print(f"{dialect}: {text!r}", file=sys.stderr)
        failures += failed + failed_back
        print(
            f"{dialect:12} {TEXTS - failed:14,} {noted:12,} {TEXTS - failed_back:16,} {noted_back:12,} "
            f"{time.perf_counter() - started:6.1f}"
        )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
