from pathlib import Path

import pytest

from evoxtral.errors import ModelError
from evoxtral.models import EDGE_FILES, names, resolve_model, split_model_name


def test_edge_is_the_packaged_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "EDGE_FOLDER", tmp_path)
    for name in EDGE_FILES[1:]:
        (tmp_path / name).touch()
    with pytest.raises(ModelError, match=r"incomplete: model\.bin missing"):
        resolve_model("edge")
    (tmp_path / EDGE_FILES[0]).touch()
    assert resolve_model("edge") == tmp_path


def test_a_folder_is_itself_if_it_holds_a_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="holds no model"):
        resolve_model(str(tmp_path))
    (tmp_path / "config.json").touch()
    assert resolve_model(str(tmp_path)) == tmp_path
    with pytest.raises(ModelError, match="is a file"):
        resolve_model(str(tmp_path / "config.json"))


def test_a_hub_id_stays_a_hub_id() -> None:
    assert resolve_model("mistralai/Voxtral-Mini-3B-2507") == "mistralai/Voxtral-Mini-3B-2507"


@pytest.mark.parametrize("name", ["", "edgy", "./runs/x", "/no/such/folder", "a/b/c", "~/nothing", "http://x/y"])
def test_other_names_are_no_models(name: str) -> None:
    with pytest.raises(ModelError, match="no such model"):
        resolve_model(name)


def test_base_and_adapter_are_split_at_the_plus(tmp_path: Path) -> None:
    assert split_model_name("owner/base+owner/adapter") == ("owner/base", "owner/adapter")
    assert split_model_name("edge") == ("edge", None)
    (tmp_path / "a+b").mkdir()
    assert split_model_name(str(tmp_path / "a+b")) == (str(tmp_path / "a+b"), None)
    for name in ("base+", "+adapter"):
        with pytest.raises(ModelError, match=r"BASE\+ADAPTER"):
            split_model_name(name)
