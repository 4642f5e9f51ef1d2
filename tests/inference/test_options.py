import io
from typing import Any

import numpy as np
import pytest

from evoxtral.errors import EvoxtralError
from evoxtral.inference import TranscribeOptions, transcribe

SOUND = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"min_speakers": 2}, "nobody tells speakers apart"),
        ({"diarize": True, "min_speakers": 3, "max_speakers": 2}, "min_speakers is more than max_speakers"),
        ({"diarize": True, "max_speakers": 0}, "fewer than one speaker"),
    ],
)
def test_what_contradicts_itself_is_refused(choices: dict[str, Any], message: str) -> None:
    with pytest.raises(EvoxtralError, match=message):
        TranscribeOptions(**choices)
    with pytest.raises(EvoxtralError, match=message):
        transcribe(SOUND, **choices)


def test_single_choices_replace_those_of_an_object(scripted_engine: Any, spoken_wav: bytes) -> None:
    options = TranscribeOptions(language="de", times=False)
    changed = transcribe(io.BytesIO(spoken_wav), engine=scripted_engine, options=options, language="fr")
    assert changed.language == "fr"
    assert {word.start_s for word in changed.words} == {None}
    with pytest.raises(TypeError, match="langage"):
        transcribe(SOUND, engine=scripted_engine, langage="fr")
