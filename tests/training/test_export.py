"""What the export adds to the converter's work."""

import json
from pathlib import Path

from evoxtral.training.export import export_ctranslate2
from tiny_edge import save_tiny_edge


def test_all_languages_are_listed_though_the_checkpoint_was_tuned_for_one(tmp_path: Path) -> None:
    merged = save_tiny_edge(tmp_path, multilingual=True).parent / "hf"
    path = merged / "generation_config.json"
    generation = json.loads(path.read_text())
    everything = sorted(generation["lang_to_id"].values())
    path.write_text(json.dumps(generation | {"lang_to_id": {"<|en|>": generation["lang_to_id"]["<|en|>"]}}))
    # The converter copies it, and a real processor's file is not needed for that.
    (merged / "preprocessor_config.json").touch()
    export_ctranslate2(merged, tmp_path / "export", heads=None, quantization="float32")
    assert json.loads((tmp_path / "export" / "config.json").read_text())["lang_ids"] == everything
