"""How long the Studio takes until it can be used: in Chromium with empty caches, from `evoxtral serve` beside it.

    PYTHONPATH=tests/studio python benchmarks/studio_load.py --output benchmarks/results/studio_load.json

Usable: the first view stands, its script runs, and the server's answer about its model is shown.
"""

import argparse
import json
import platform
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from studio_browser import chromium, evoxtral_serve

LOADS = 20
PAINTED = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
SENT = "performance.getEntriesByType('resource').reduce((sum, entry) => sum + entry.encodedBodySize, 0)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output", type=Path, required=True)
    output: Path = parser.parse_args().output
    painted_ms: list[float] = []
    usable_ms: list[float] = []
    with (
        tempfile.TemporaryDirectory() as scratch,
        evoxtral_serve("--store", f"{scratch}/store") as address,
        chromium() as browser,
    ):
        for _ in range(LOADS):
            context = browser.new_context(viewport={"width": 1280, "height": 800})
            page = context.new_page()
            start_s = time.perf_counter()
            page.goto(address, wait_until="commit")
            page.get_by_text("model edge").wait_for()
            usable_ms.append((time.perf_counter() - start_s) * 1000)
            painted_ms.append(page.evaluate(PAINTED))
            sent_bytes = page.evaluate(SENT)
            context.close()
        version = browser.version
    result = {
        "date": datetime.now(UTC).date().isoformat(),
        "command": "PYTHONPATH=tests/studio python benchmarks/studio_load.py",
        "machine": f"{platform.machine()}, 2 cores",
        "chromium": version,
        "loads": LOADS,
        "resources_bytes": sent_bytes,
        "first_contentful_paint_ms": _summary(painted_ms),
        "usable_ms": _summary(usable_ms),
    }
    output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


def _summary(values_ms: list[float]) -> dict[str, float]:
    return {"median": round(statistics.median(values_ms)), "most": round(max(values_ms))}


if __name__ == "__main__":
    main()
