"""Transcription as a custom handler of Hugging Face Inference Endpoints; uploaded as handler.py beside weights.

The service imports this file by its path, makes one `EndpointHandler` with the folder of the repository, and calls it
with each request. What it raises, the service answers as an error with the same text. Needs the package `evoxtral`,
which requirements.txt names. Knows requests; how a transcript comes about is known by `evoxtral.inference`.
"""

import base64
import binascii
import io
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

from evoxtral.errors import EvoxtralError
from evoxtral.inference import TranscribeOptions, load_engine, transcribe

# About an hour and three quarters of uncompressed speech at 16 kHz.
_MAX_AUDIO_BYTES: Final = 200 * 2**20
_KINDS: Final[Mapping[type, str]] = {int: "a whole number", bool: "true or false", str: "a text"}


class EndpointHandler:
    """Loads the weights once and transcribes one recording a call.

    Args:
        path: folder of a model or of an adapter, whose base comes from the hub.
    """

    def __init__(self, path: str = "") -> None:
        self._engine = load_engine(str(Path(path or ".").resolve()))

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Transcribe a recording.

        Args:
            data: "inputs": an encoded file (any format that FFmpeg reads), as bytes or in base64, with or without
                "data:audio/...;base64," before it; "parameters": fields of `TranscribeOptions` by name, such as
                {"language": "en", "times": false}.

        Returns:
            The JSON object of `evoxtral transcribe --format json`.

        Raises:
            ValueError: the request is malformed, or the recording cannot be used; one line.
        """
        if not isinstance(data, Mapping) or "inputs" not in data:
            raise ValueError('the request has no "inputs": send a recording, as bytes or in base64')
        options = _options(data.get("parameters"))
        try:
            transcript = transcribe(
                io.BytesIO(_audio(data["inputs"])), engine=self._engine, name="recording", options=options
            )
        except EvoxtralError as error:
            raise ValueError(str(error)) from error
        return transcript.to_json()


def _audio(inputs: Any) -> bytes:
    if isinstance(inputs, str):
        encoded = inputs.partition(";base64,")[2] if inputs.startswith("data:") else inputs
        if len(encoded) * 3 // 4 > _MAX_AUDIO_BYTES:
            raise ValueError(f"the recording is larger than {_MAX_AUDIO_BYTES // 2**20} MiB")
        try:
            inputs = base64.b64decode("".join(encoded.split()), validate=True)
        except (binascii.Error, ValueError) as error:
            raise ValueError('"inputs" is a text and not base64: send a recording, as bytes or in base64') from error
    if not isinstance(inputs, bytes | bytearray):
        raise ValueError(f'"inputs" is of the type {type(inputs).__name__}: send a recording, as bytes or in base64')
    if not inputs:
        raise ValueError('"inputs" is empty: send a recording, as bytes or in base64')
    if len(inputs) > _MAX_AUDIO_BYTES:
        raise ValueError(f"the recording is larger than {_MAX_AUDIO_BYTES // 2**20} MiB")
    return bytes(inputs)


def _options(parameters: Any) -> TranscribeOptions:
    if parameters is None:
        return TranscribeOptions()
    if not isinstance(parameters, Mapping):
        raise ValueError('"parameters" is no object: write {"language": "en"}')
    known = {field.name: field for field in fields(TranscribeOptions)}
    for name, value in parameters.items():
        if name not in known:
            raise ValueError(f'there is no parameter "{name}": there are {", ".join(known)}')
        default = known[name].default
        kind = int if default is None else type(default)
        if not (type(value) is kind or (default is None and value is None)):
            raise ValueError(f'the parameter "{name}" is {value!r}: it takes {_KINDS[kind]}')
    try:
        return TranscribeOptions(**parameters)
    except EvoxtralError as error:
        raise ValueError(str(error)) from error
