"""A pushed folder as Inference Endpoints run it: handler.py imported by its path, and called with requests."""

import base64
import importlib.util
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from huggingface_hub import ModelCard

from evoxtral.data.files import write_atomically
from evoxtral.hub.publishing import plan_upload, upload
from evoxtral.inference import transcribe
from evoxtral.training.adapters import add_adapter, save_adapter
from evoxtral.training.recipe import Lora
from recording_hub import record_hub
from tiny_models import RATE_HZ, save_tiny_voxtral, trainee_of

Handler = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the service clones: an adapter of a tiny Voxtral, pushed by the real client."""
    root = tmp_path_factory.mktemp("endpoint")
    base = save_tiny_voxtral(root / "voxtral")
    local = root / "adapter"
    adapted = add_adapter(trainee_of(base), Lora(rank=4, alpha=8))
    torch.manual_seed(1)
    with torch.no_grad():
        for name, weights in adapted.named_parameters():
            if "lora_B" in name:
                weights.normal_(0, 0.1)
    save_adapter(adapted, "someone/voxtral", local)
    ModelCard("---\nlanguage: en\n---\n# A thing\n").save(local / "README.md")
    with pytest.MonkeyPatch.context() as patch, record_hub(patch) as hub:
        upload(plan_upload(local), "me/it")
        for name, content in hub.repositories["me/it"].files.items():
            write_atomically(root / "repository" / name, content)
    # The base would come from the hub; here it lies beside.
    path = root / "repository" / "adapter_config.json"
    config = json.loads(path.read_text())
    assert config["base_model_name_or_path"] == "someone/voxtral"
    path.write_text(json.dumps(config | {"base_model_name_or_path": str(base)}))
    return root / "repository"


@pytest.fixture(scope="module")
def handler(repository: Path) -> Handler:
    spec = importlib.util.spec_from_file_location("handler", repository / "handler.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made: Handler = module.EndpointHandler(path=str(repository))
    return made


def test_bytes_and_base64_give_what_transcribe_gives(handler: Handler, spoken_wav: bytes, repository: Path) -> None:
    expected = transcribe(io.BytesIO(spoken_wav), model=str(repository), name="recording", times=False).to_json()
    encoded = base64.b64encode(spoken_wav).decode()
    for inputs in (spoken_wav, encoded, f"data:audio/wav;base64,{encoded}", "\n".join((encoded[:76], encoded[76:]))):
        answer = handler({"inputs": inputs, "parameters": {"times": False}})
        assert {k: v for k, v in answer.items() if k != "model"} == {k: v for k, v in expected.items() if k != "model"}
    assert expected["text"]
    base = json.loads((repository / "adapter_config.json").read_text())["base_model_name_or_path"]
    assert expected["text"] != transcribe(io.BytesIO(spoken_wav), model=base, times=False).text
    json.dumps(answer, allow_nan=False)


def test_parameters_are_those_of_transcribe(handler: Handler, spoken_wav: bytes) -> None:
    assert handler({"inputs": spoken_wav, "parameters": {"language": "fr", "times": False}})["language"] == "fr"
    assert handler({"inputs": spoken_wav, "parameters": None})["language"] == "en"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({}, 'the request has no "inputs"'),
        ({"inputs": ""}, '"inputs" is empty'),
        ({"inputs": "not base64!"}, "not base64"),
        ({"inputs": 7}, "of the type int"),
        ({"inputs": b"no audio at all"}, "recording: "),
        ({"inputs": b"x", "parameters": [1]}, '"parameters" is no object'),
        ({"inputs": b"x", "parameters": {"temperature": 1}}, 'no parameter "temperature": there are language'),
        ({"inputs": b"x", "parameters": {"times": "no"}}, "\"times\" is 'no': it takes true or false"),
        ({"inputs": b"x", "parameters": {"max_speakers": 2}}, "nobody tells speakers apart"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(handler: Handler, data: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said) as error:
        handler(data)
    assert "\n" not in str(error.value)


def test_silence_is_an_empty_transcript(handler: Handler) -> None:
    file = io.BytesIO()
    soundfile.write(file, np.zeros(RATE_HZ), RATE_HZ, format="WAV")
    answer = json.loads(json.dumps(handler({"inputs": file.getvalue()})))
    assert (answer["text"], answer["words"], answer["tags"]) == ("", [], [])
