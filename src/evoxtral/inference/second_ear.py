"""What is asked beside the engine that writes: where a text is heard, and which language is spoken.

An engine that knows is asked itself; for others the packaged edge model is loaded when it is needed. Knows engines by
their protocols, and that model's name.
"""

import logging
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from evoxtral.errors import ModelError
from evoxtral.inference.chunking import Window
from evoxtral.inference.engines.protocol import AlignedToken, Aligner, LanguageDetector, TranscriptionEngine

# So many windows are one batch of the packaged model on any machine.
PACKAGED_BATCH = 4

_LOG = logging.getLogger(__name__)


def find_aligner(engine: TranscriptionEngine) -> Aligner:
    """The engine itself if it aligns, else the packaged model."""
    return engine if isinstance(engine, Aligner) else _PackagedAligner()


def find_language_detector(engine: TranscriptionEngine) -> LanguageDetector:
    """The engine's own ear for languages, and where it has none or tells nothing, the packaged model's."""
    return _Detector(engine if isinstance(engine, LanguageDetector) else None)


def align_some(
    aligner: Aligner, batch: Sequence[Window], texts: Sequence[str], chosen: Sequence[int], language: str
) -> list[list[AlignedToken] | None]:
    """Alignments of the chosen windows of a batch; None each, and a warning, where nothing can align."""
    if not chosen:
        return []
    try:
        windows = [batch[index].samples for index in chosen]
        return [*aligner.align_windows(windows, [texts[index] for index in chosen], language=language)]
    except ModelError as error:
        _LOG.warning("no times: %s", error)
        return [None] * len(chosen)


class _PackagedAligner:
    def align_windows(
        self, windows: Sequence[NDArray[np.float32]], texts: Sequence[str], *, language: str = "en"
    ) -> list[list[AlignedToken]]:
        from evoxtral.inference.engines.loading import load_packaged_engine

        return load_packaged_engine().align_windows(windows, texts, language=language)


class _Detector:
    def __init__(self, own: LanguageDetector | None) -> None:
        self._own = own

    def detect_languages(self, windows: Sequence[NDArray[np.float32]]) -> list[Mapping[str, float] | None]:
        found: list[Mapping[str, float] | None] = [None] * len(windows)
        if self._own is not None:
            found = self._own.detect_languages(windows)
        untold = [index for index, probabilities in enumerate(found) if probabilities is None]
        if untold:
            told = dict(zip(untold, _ask_packaged([windows[index] for index in untold]), strict=True))
            found = [told.get(index, probabilities) for index, probabilities in enumerate(found)]
        return found


def _ask_packaged(windows: Sequence[NDArray[np.float32]]) -> list[Mapping[str, float] | None]:
    from evoxtral.inference.engines.loading import load_packaged_engine

    try:
        return load_packaged_engine().detect_languages(windows)
    except ModelError as error:
        _LOG.warning("languages are not told apart: %s", error)
        return [None] * len(windows)
