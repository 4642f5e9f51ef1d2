"""How often people laugh, pause, stammer and stress words when they talk, and where: counted in the ICSI meetings.

    python benchmarks/natural_frequencies.py icsi_meetings.jsonl.xz

Takes the ICSI Meeting Corpus (CC BY 4.0: Janin et al., "The ICSI Meeting Corpus", ICASSP 2003) as lines of JSON, each
a segment of one speaker, transcribed by hand: `tagged` (text with [laughs], [pause], ...) and `emphasis` (stressed
words).
The corpus marks no emotions and nobody weeps in it. Rates go to the rows of `evoxtral.tags.taxonomy`, the rate of
stressed words to `evoxtral.corpus.composition`.
"""

import json
import lzma
import re
import sys
from collections import Counter
from pathlib import Path

# The corpus marks every part of a word that is said twice ("p- picking"); who stammers says it three times or more.
_STAMMER = re.compile(r"\b([a-z']{1,4})- \1- ", re.IGNORECASE)
_PIECE = re.compile(r"\[[^\]]+\]|[^\s\[\]]+")


def main() -> int:
    words = segments = stressed = 0
    tags: Counter[str] = Counter()
    places: Counter[tuple[str, str]] = Counter()
    with lzma.open(Path(sys.argv[1]), "rt", encoding="utf-8") as lines:
        for line in lines:
            segment = json.loads(line)
            pieces = [piece for piece in _PIECE.findall(segment["tagged"]) if any(map(str.isalnum, piece))]
            size = sum(not piece.startswith("[") for piece in pieces)
            words += size
            segments += size > 0
            stressed += len(segment["emphasis"])
            tags["stammers"] += len(_STAMMER.findall(segment["tagged"]))
            at = 0
            for piece in pieces:
                if piece.startswith("["):
                    name = piece[1:-1]
                    tags[name] += 1
                    places[name, "alone" if not size else "start" if not at else "end" if at == size else "inside"] += 1
                else:
                    at += 1
    print(f"{words:,} words in {segments:,} segments with words; {stressed:,} stressed words: ", end="")
    print(f"{1_000 * stressed / words:.1f} per 1,000 words\n")
    columns = ("start", "inside", "end", "alone")
    print(f"{'tag':14} {'count':>7} {'per 1,000 words':>16}" + "".join(f"{column:>8}" for column in columns))
    for name, count in tags.most_common(8):
        shares = (places[name, column] / count if (name, "start") in places else None for column in columns)
        line = "".join("       -" if share is None else f"{share:8.0%}" for share in shares)
        print(f"{name:14} {count:7,} {1_000 * count / words:16.3f}{line}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
