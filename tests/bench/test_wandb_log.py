import json
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from evoxtral.bench.report import Section, write_html
from evoxtral.bench.scoring import score
from evoxtral.bench.summary import describe_system
from evoxtral.bench.wandb_log import log_to_wandb
from evoxtral.data.records import Prediction


def records(path: Path) -> Iterator[bytes]:
    """What a .wandb file holds: a LevelDB log (blocks of 32 KiB, pieces with 7 bytes of header) after 7 bytes."""
    content, position, record = path.read_bytes(), 7, b""
    while position + 7 <= len(content):
        left = 32768 - position % 32768
        if left < 7:
            position += left
            continue
        _, length, kind = struct.unpack("<IHB", content[position : position + 7])
        record += content[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):  # whole, or the last piece
            yield record
            record = b""


def test_an_offline_run_holds_figures_tables_and_the_page(tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb")
    from wandb.proto.wandb_internal_pb2 import Record

    settings = {"MODE": "offline", "DIR": str(tmp_path), "SILENT": "true", "CONSOLE": "off", "X_DISABLE_STATS": "true"}
    for name, value in settings.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    references = {"a": "[sad] One two three.", "b": "Four five."}
    report = score(references, references | {"b": "Four six."}, resamples=20, baseline_texts=["[sad] One."])
    system = describe_system([Prediction(id="a", text="", model="tiny", version="0.1")])
    write_html(tmp_path / "report.html", [Section(report, system)])
    log_to_wandb(report, system, project="bench-test", html=tmp_path / "report.html")
    wandb.teardown()  # waits until the process that writes the file has written all of it

    (file,) = tmp_path.rglob("run-*.wandb")
    logged, config = {}, {}
    for data in records(file):
        record = Record()
        record.ParseFromString(data)
        for item in record.history.item:
            logged["/".join(item.nested_key) or item.key] = json.loads(item.value_json)
        for item in record.run.config.update:
            config[item.key] = json.loads(item.value_json)
    assert logged["bench/wer"] == pytest.approx(1 / 5)
    assert logged["bench/tags/f1"] == 1
    assert logged["bench/baselines/no_tags/tags/f1"] == 0
    assert config["Model"] == "tiny"
    table = json.loads(next(tmp_path.rglob("*per_tag*.json")).read_text())
    assert table["data"] == [["sad", 1, 1, 1.0, 1.0, 1.0]]
    assert any("Evoxtral-Bench" in path.read_text() for path in tmp_path.rglob("media/**/*.html"))
