"""Time of parsing 1 MB of ordinary and of hostile text.

    python benchmarks/tags_parse.py

Prints one line a text: its repeated unit, seconds for `parse`, seconds for what is derived later (scopes, plain
text). Times at a tenth of the size stand beside, to show that they grow linearly.
"""

import time

from evoxtral.tags import parse

SIZE = 1_000_000
UNITS = (
    "[sad] It was over, and I KNEW it... [sighs] Mr. Smith left. ",
    *("[", "]", "[]", "[a", "[a]", "[[a]]", "[ab] ", "[sad]", "a…", "~…", "a.", "-.", "NO. "),
)


def main() -> None:
    print(f"{'unit':64} {'parse_s':>8} {'derive_s':>8} {'parse_s at 1/10':>16}")
    for unit in UNITS:
        (small, _), (parsing, deriving) = measure(unit, SIZE // 10), measure(unit, SIZE)
        print(f"{unit!r:64} {parsing:8.3f} {deriving:8.3f} {small:16.3f}")


def measure(unit: str, size: int) -> tuple[float, float]:
    text = unit * (size // len(unit))
    start = time.perf_counter()
    parsed = parse(text)
    parsed_at = time.perf_counter()
    _ = parsed.scopes, parsed.plain_text
    return parsed_at - start, time.perf_counter() - parsed_at


if __name__ == "__main__":
    main()
