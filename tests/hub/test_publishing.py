"""Uploads by the hub's own client to a service on 127.0.0.1 that takes commits as the Hub does."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from evoxtral.errors import HubError
from evoxtral.hub.publishing import plan_upload, upload
from recording_hub import RecordingHub, record_hub

CARD = "---\nlanguage: en\n---\n# A thing\n"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[RecordingHub]:
    with record_hub(monkeypatch) as served:
        yield served


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """A folder with the files of a dataset."""
    folder = tmp_path / "corpus" / "dataset"
    (folder / "data").mkdir(parents=True)
    (folder / "README.md").write_text(CARD)
    (folder / "data" / "train-0123-00000-of-00001.parquet").write_bytes(b"PAR1 rows PAR1")
    return folder


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    """A folder with the files of an adapter, and some that nobody wants to have."""
    folder = tmp_path / "adapter"
    (folder / ".cache").mkdir(parents=True)
    (folder / "__pycache__").mkdir()
    (folder / "README.md").write_text(CARD)
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "someone/voxtral"}))
    (folder / "adapter_model.safetensors").write_bytes(b"weights")
    (folder / "second [1].safetensors").write_bytes(b"more weights")
    (folder / ".cache" / "note").write_text("private")
    (folder / ".env").write_text("HF_TOKEN=secret")
    (folder / "__pycache__" / "handler.pyc").write_bytes(b"compiled")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """What of a folder is meant for others."""
    paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in paths.items() if not name.startswith((".", "__pycache__"))}


def test_an_upload_carries_the_whole_dataset_and_nothing_of_an_earlier_one(dataset: Path, hub: RecordingHub) -> None:
    upload(plan_upload(dataset), "me/it")
    (dataset / "data" / "train-0123-00000-of-00001.parquet").unlink()
    (dataset / "data" / "train-4567-00000-of-00001.parquet").write_bytes(b"PAR1 other rows PAR1")
    address = upload(plan_upload(dataset), "me/it")
    assert address == f"{hub.address}/datasets/me/it"
    assert hub.repositories.keys() == {"datasets/me/it"}
    assert hub.repositories["datasets/me/it"].files == contents(dataset)
    assert "handler.py" not in contents(dataset)


def test_an_adapter_goes_with_what_runs_it_and_without_what_is_private(adapter: Path, hub: RecordingHub) -> None:
    plan = plan_upload(adapter)
    planned = {file.path: file.size for file in plan.files}
    assert not (adapter / "handler.py").exists()  # a plan changes nothing
    upload(plan, "me/it")
    uploaded = hub.repositories["me/it"].files
    assert uploaded == contents(adapter)
    assert planned == {name: len(content) for name, content in uploaded.items()}
    assert uploaded.keys() == {
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
        "handler.py",
        "requirements.txt",
        "second [1].safetensors",
    }
    assert plan.size == sum(map(len, uploaded.values()))
    assert b"evoxtral[train]==" in uploaded["requirements.txt"]


@pytest.mark.parametrize("private", [True, False])
def test_a_repository_is_private_unless_it_is_to_be_public(adapter: Path, hub: RecordingHub, private: bool) -> None:
    upload(plan_upload(adapter), "me/it", **({} if private else {"private": False}))
    created = hub.repositories["me/it"].created
    assert created.get("visibility", "private" if created.get("private") else "public") == (
        "private" if private else "public"
    )


def test_an_upload_that_was_cut_off_goes_on_where_it_stopped(adapter: Path, hub: RecordingHub) -> None:
    kept, refused = (
        hashlib.sha256((adapter / name).read_bytes()).hexdigest()
        for name in ("adapter_model.safetensors", "second [1].safetensors")
    )
    hub.refused = {refused}
    with pytest.raises(HubError, match="try again: what is there already is not sent twice"):
        upload(plan_upload(adapter), "me/it")
    assert hub.repositories["me/it"].commits == []
    hub.refused = set()
    upload(plan_upload(adapter), "me/it")
    assert hub.repositories["me/it"].files == contents(adapter)
    assert hub.received == {kept: 1, refused: 1}


def test_a_hub_that_refuses_is_told_in_one_line(dataset: Path, hub: RecordingHub) -> None:
    with pytest.raises(HubError, match="did not take me/it") as error:
        upload(plan_upload(dataset), "me/it", token="hf_read_only")
    assert "HF_TOKEN" in str(error.value)
    assert "hf_read_only" not in str(error.value)
    assert "\n" not in str(error.value)
    assert hub.repositories == {}


def test_a_token_in_what_the_hub_says_is_not_shown(
    adapter: Path, hub: RecordingHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_very_secret")
    with pytest.raises(HubError) as error:
        # The client repeats in its error what it was called with.
        upload(plan_upload(adapter), "hf_very_secret/a/b")
    assert "hf_very_secret/a/b: " in str(error.value)  # that is the user's own word, and no token of ours
    assert "hf_very_secret" not in str(error.value).partition("/a/b: ")[2]


def test_a_handler_of_the_users_own_stays_and_an_old_one_of_ours_does_not(adapter: Path) -> None:
    (adapter / "handler.py").write_text("class EndpointHandler: ...\n")
    assert "handler.py" not in plan_upload(adapter).added
    current = (Path(__file__).parents[2] / "src/evoxtral/hub/endpoint_handler.py").read_text()
    (adapter / "handler.py").write_text(current.splitlines()[0] + "\n# of an older version\n")
    assert plan_upload(adapter).added["handler.py"] == current.encode()


def test_an_export_for_vllm_needs_no_handler(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(CARD)
    (tmp_path / "params.json").write_text("{}")
    assert [file.path for file in plan_upload(tmp_path).files] == ["README.md", "params.json"]


def test_nothing_is_pushed_that_is_not_fit_for_others(tmp_path: Path, adapter: Path) -> None:
    with pytest.raises(HubError, match="neither a dataset nor a model"):
        plan_upload(tmp_path)
    (adapter / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(tmp_path)}))
    with pytest.raises(HubError, match="does not name the adapter's base by its hub id"):
        plan_upload(adapter)
    (adapter / "README.md").write_text("---\nlanguage: [en\n---\n# A thing\n")
    with pytest.raises(HubError, match="cannot read its front matter"):
        plan_upload(adapter)
    (adapter / "README.md").unlink()
    with pytest.raises(HubError, match=f"evoxtral hub card {adapter}"):
        plan_upload(adapter)
