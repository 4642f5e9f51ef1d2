"""Scripts of two corpora side by side, unedited, as a table for docs/corpus-samples.md.

    python benchmarks/script_samples.py before/scripts.jsonl now/scripts.jsonl [COUNT]

Takes the first COUNT (60) of each. Untold tags, those that the words do not give away, are marked with a degree sign.
"""

import json
import re
import sys
from itertools import islice
from pathlib import Path
from typing import Any

from evoxtral.markdown import table


def main() -> int:
    before, now = (read(Path(name), int(sys.argv[3]) if len(sys.argv) > 3 else 60) for name in sys.argv[1:3])
    rows = [
        (number, shown(one), shown(other)) for number, (one, other) in enumerate(zip(before, now, strict=True), start=1)
    ]
    print(table(("", "before", "now"), rows))
    return 0


def read(path: Path, count: int) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in islice(lines, count)]


def shown(script: dict[str, Any]) -> str:
    labels = iter(script.get("told") or ())
    parts = [(turn["speaker"] + ": ", turn["tagged_text"]) for turn in script.get("turns") or ()]
    marked = [
        speaker + re.sub(r"\[[^\]]+\]", lambda tag: tag[0] if next(labels, True) else f"{tag[0][:-1]}°]", text)
        for speaker, text in parts or [("", script["tagged_text"])]
    ]
    return f"*{script['slice_type']}, {script['domain']}*: " + "<br>".join(marked)


if __name__ == "__main__":
    sys.exit(main())
