"""What is fetched from the hub, where it goes, and that offline nothing is asked of anybody."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from evoxtral.errors import ModelError
from evoxtral.models import ModelStore, resolve_model, split_model_name
from local_hub import LocalHub, serve_hub

WHISPER = {
    "config.json": b"{}",
    "tokenizer.json": b'{"model": {}}',
    "vocabulary.txt": b"a",
    "model.safetensors": b"weights",
    "model.fp32-00001-of-00002.safetensors": b"the same, larger",
    "consolidated.safetensors": b"the same for another program",
    "pytorch_model.bin": b"the same, older",
    "flax_model.msgpack": b"the same for another library",
    "checkpoint-10/model.safetensors": b"an older state",
    "README.md": b"card",
}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalHub]:
    with serve_hub(monkeypatch) as served:
        yield served


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Refuses and lists all attempts to connect or to look up a host."""
    tried: list[object] = []

    def refuse(*arguments: object, **_: object) -> None:
        tried.append(arguments)
        raise OSError("no network in this test")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    return tried


def test_what_engines_read_is_fetched_into_the_folder_and_found_offline(
    hub: LocalHub, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    hub.models["owner/whisper"] = dict(WHISPER)
    folder = ModelStore(tmp_path / "models").fetch("owner/whisper")
    read = ["config.json", "model.safetensors", "tokenizer.json", "vocabulary.txt"]
    assert sorted(hub.fetched) == read
    assert tmp_path / "models" in folder.parents
    assert sorted(path.name for path in folder.iterdir()) == read
    tried = request.getfixturevalue("no_network")
    assert ModelStore(tmp_path / "models", offline=True).fetch("owner/whisper") == folder
    assert tried == []


def test_old_weights_are_fetched_where_there_are_no_others(hub: LocalHub, tmp_path: Path) -> None:
    hub.models["owner/old"] = {name: WHISPER[name] for name in ("config.json", "pytorch_model.bin", "README.md")}
    folder = ModelStore(tmp_path).fetch("owner/old")
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "pytorch_model.bin"]
    hub.models["owner/none"] = {"config.json": b"{}"}
    with pytest.raises(ModelError, match="holds no weights"):
        ModelStore(tmp_path).fetch("owner/none")


def test_without_torch_only_weights_for_ctranslate2_are_fetched(hub: LocalHub, tmp_path: Path) -> None:
    hub.models["owner/fast"] = {"config.json": b"{}", "model.bin": b"weights"}
    assert (ModelStore(tmp_path).fetch("owner/fast", with_torch=False) / "model.bin").read_bytes() == b"weights"
    hub.models["owner/large"] = dict(WHISPER)
    ModelStore(tmp_path).fetch("owner/large", with_torch=False)
    assert not {"model.safetensors", "pytorch_model.bin"} & set(hub.fetched)


def test_offline_nothing_is_asked_and_the_folder_and_the_command_are_named(
    tmp_path: Path, no_network: list[object]
) -> None:
    with pytest.raises(ModelError) as caught:
        ModelStore(tmp_path, offline=True).fetch("owner/whisper")
    assert f"owner/whisper: is not (whole) in {tmp_path}" in caught.value.message
    assert f"hf download owner/whisper --cache-dir {tmp_path}" in str(caught.value.hint)
    assert no_network == []
    # The same without the flag does ask, which shows that the test would see it.
    with pytest.raises(ModelError, match="the hub cannot be reached"):
        ModelStore(tmp_path).fetch("owner/whisper")
    assert no_network != []


def test_half_a_model_is_not_taken_for_one_offline(hub: LocalHub, tmp_path: Path) -> None:
    hub.models["owner/whisper"] = dict(WHISPER)
    store = ModelStore(tmp_path)
    (store.fetch("owner/whisper") / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"is not \(whole\)"):
        ModelStore(tmp_path, offline=True).fetch("owner/whisper")
    assert (store.fetch("owner/whisper") / "model.safetensors").read_bytes() == b"weights"


def test_what_the_hub_does_not_give_is_said(hub: LocalHub, tmp_path: Path) -> None:
    hub.models["owner/gated"] = None
    with pytest.raises(ModelError, match=r"terms accepted .*https://huggingface\.co/owner/gated"):
        ModelStore(tmp_path).fetch("owner/gated")
    with pytest.raises(ModelError, match="no such model"):
        ModelStore(tmp_path).fetch("owner/nothing")
    (tmp_path / "file").write_text("not a folder")
    hub.models["owner/whisper"] = dict(WHISPER)
    with pytest.raises(ModelError, match=f"cannot be fetched into {tmp_path}/file"):
        ModelStore(tmp_path / "file").fetch("owner/whisper")


def test_a_model_in_the_folder_wins_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("mine", "models/mine", "models/owner/whisper", "models/a+b"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "config.json").touch()
    store = ModelStore(tmp_path / "models")
    assert resolve_model("mine") == Path("mine")
    assert resolve_model("mine", store) == tmp_path / "models/mine"
    assert resolve_model("owner/whisper", store) == tmp_path / "models/owner/whisper"
    assert resolve_model("owner/other", store) == "owner/other"
    assert split_model_name("a+b", store) == ("a+b", None)
    with pytest.raises(ModelError, match=f"'yours': no such model in {tmp_path}/models, nor elsewhere"):
        resolve_model("yours", store)
    (tmp_path / "models/edge").mkdir()
    (tmp_path / "models/edge/config.json").touch()
    assert resolve_model("edge", store) == resolve_model("edge")


def test_chosen_files_of_anything_on_the_hub_are_fetched_found_and_missed(
    hub: LocalHub, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    hub.models["owner/voices"] = {
        "onnx/model.onnx": b"large",
        "onnx/model_quantized.onnx": b"small",
        "voices/af_bella.bin": b"A",
        "voices/zf_xiaobei.bin": b"Z",
    }
    wanted = ["onnx/model_quantized.onnx", "voices/[ab]*.bin"]
    store = ModelStore(tmp_path / "models")
    assert store.find_files("owner/voices", wanted) is None
    assert hub.fetched == []
    folder = store.fetch_files("owner/voices", wanted)
    assert sorted(hub.fetched) == ["onnx/model_quantized.onnx", "voices/af_bella.bin"]
    with pytest.raises(ModelError, match=r"owner/voices: has no file \*\.npz"):
        store.fetch_files("owner/voices", ["*.npz"])
    tried = request.getfixturevalue("no_network")
    offline = ModelStore(tmp_path / "models", offline=True)
    assert offline.fetch_files("owner/voices", wanted) == store.find_files("owner/voices", wanted) == folder
    for missing in (["onnx/model.onnx"], [*wanted, "onnx/model.onnx"]):
        assert offline.find_files("owner/voices", missing) is None
        with pytest.raises(ModelError, match="offline nothing is fetched"):
            offline.fetch_files("owner/voices", missing)
    assert tried == []
