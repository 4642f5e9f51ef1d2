"""The card shows what it quotes as text, and says only what it was told."""

from collections import Counter
from pathlib import Path

import yaml

from evoxtral.corpus.dataset import DatasetReport
from evoxtral.corpus.gates import check
from evoxtral.data.corpus_config import CorpusConfig, DatasetConfig
from evoxtral.data.records import Clip, Domain, Script, SliceType
from evoxtral.hub.dataset_card import dataset_card

NASTY = "a|b *c* <img src=x> [d](http://e) `f`"


def test_names_that_look_like_markup_stay_names(tmp_path: Path) -> None:
    script = Script(
        id="s", tagged_text="[sad] Hello there.", slice_type=SliceType.LIGHT, domain=Domain.PODCAST, writer="t"
    )
    clip = Clip(
        id="s-0",
        script_id="s",
        tagged_text=script.tagged_text,
        audio="audio/s-0.flac",
        duration_s=36.0,
        voice=NASTY,
        engine="local",
        seed=0,
        slice_type=script.slice_type,
        domain=script.domain,
    )
    report = DatasetReport(
        tmp_path / "dataset",
        {"train": [clip], "validation": [], "test": []},
        Counter({"silent": 2}),
        "0123",
        check([script], [clip]),
    )
    name = 'Ünsere: "Sammlung" # 1 | no'
    card = dataset_card(CorpusConfig(name=name, dataset=DatasetConfig(holdout_voices=(NASTY,))), report)
    _, front, body = card.split("---\n", 2)
    data = yaml.safe_load(front)
    assert data["pretty_name"] == name
    assert data["configs"] == [
        {"config_name": "default", "data_files": [{"split": "train", "path": "data/train-0123-*.parquet"}]}
    ]
    shown = r"a\|b \*c\* \<img src=x\> \[d\](http://e) \`f\`"
    assert f"test split only: {shown}." in body
    assert NASTY not in body
    (row,) = [line for line in body.splitlines() if line.startswith("| local | ")]
    assert row.endswith(" | 1 |")
    assert "Left out: silent: 2." in body
    assert "| train | 1 | 1 | 0.01 | 1 |" in body
    # Nothing of this machine.
    assert str(tmp_path) not in card
