"""The speech engines by name: what loads each, which extra it needs and what it lacks on this machine.

The one list that the command line, the corpus configuration and `evoxtral doctor` read. A new engine is a module of
its own and a row here. Nothing heavy is imported before an engine is loaded or asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from evoxtral.errors import VoiceError
from evoxtral.findings import Finding, is_importable

if TYPE_CHECKING:
    from evoxtral.models.store import ModelStore
    from evoxtral.tts.speech_engine import SpeechEngine


class EngineLoader(Protocol):
    """Makes an engine."""

    def __call__(self, store: ModelStore, **options: Any) -> SpeechEngine:
        """The engine.

        Args:
            store: where its weights are found, and whether the network may be used.
            options: of the engine's own class.
        """
        ...


class EngineProbe(Protocol):
    """Looks what an engine has and lacks, without loading it or calling anybody."""

    def __call__(self, store: ModelStore) -> Iterator[Finding]: ...


@dataclass(frozen=True, slots=True)
class EngineEntry:
    """A speech engine.

    Attributes:
        name: what the user types after `--engine`.
        extra: the optional group of packages that it needs; None for one that every installation has.
        needs_network: whether it speaks elsewhere, and so not at all with `--offline`.
    """

    name: str
    extra: str | None
    needs_network: bool
    load: EngineLoader
    probe: EngineProbe


def _load_local(store: ModelStore, **options: Any) -> SpeechEngine:
    from evoxtral.tts.local import LocalEngine

    return LocalEngine(store=store, **options)


def _probe_local(store: ModelStore) -> Iterator[Finding]:
    from evoxtral.tts.base_voices import probe

    return probe(store)


def _load_elevenlabs(store: ModelStore, **options: Any) -> SpeechEngine:
    from evoxtral.tts.elevenlabs import elevenlabs_engine

    return elevenlabs_engine(**options)


def _probe_elevenlabs(store: ModelStore) -> Iterator[Finding]:
    from evoxtral.settings import read_settings

    keys = read_settings().elevenlabs_keys
    yield _find_service("elevenlabs", "elevenlabs", "eleven_v3", bool(keys), "ELEVENLABS_API_KEY")


def _load_mistral(store: ModelStore, **options: Any) -> SpeechEngine:
    from evoxtral.tts.mistral import mistral_engine

    return mistral_engine(**options)


def _probe_mistral(store: ModelStore) -> Iterator[Finding]:
    from evoxtral.settings import read_settings

    yield _find_service("mistral", "mistralai", "Voxtral TTS 3", bool(read_settings().mistral_keys), "MISTRAL_API_KEY")


def _find_service(name: str, package: str, model: str, has_key: bool, variable: str) -> Finding:
    """What a service that is paid for lacks; `name` is that of the extra too."""
    if not is_importable(package):
        return Finding(name, False, "not installed", f"pip install 'evoxtral[{name}]'")
    if not has_key:
        return Finding(name, False, "no key", f"export {variable}=...")
    return Finding(name, True, f"{model}, with a key")


SPEECH_ENGINES: Mapping[str, EngineEntry] = {
    entry.name: entry
    for entry in (
        EngineEntry("local", None, False, _load_local, _probe_local),
        EngineEntry("elevenlabs", "elevenlabs", True, _load_elevenlabs, _probe_elevenlabs),
        EngineEntry("mistral", "mistral", True, _load_mistral, _probe_mistral),
    )
}
DEFAULT_ENGINE = "local"


def load_speech_engine(name: str = DEFAULT_ENGINE, *, store: ModelStore | None = None, **options: Any) -> SpeechEngine:
    """The engine of that name.

    Args:
        store: where weights are kept and whether the network may be used; by default the hub's cache, and yes.
        options: go to the engine's class.

    Raises:
        VoiceError: there is no such engine, or it lacks something (the hint says what).
    """
    from evoxtral.models.store import HUB_CACHE

    entry = engine_entry(name)
    store = store or HUB_CACHE
    if entry.needs_network and store.offline:
        raise VoiceError(f"the engine {name} needs the network, which --offline forbids", "--engine local")
    return entry.load(store, **options)


def engine_entry(name: str) -> EngineEntry:
    """The row of an engine.

    Raises:
        VoiceError: there is no such engine.
    """
    if name not in SPEECH_ENGINES:
        raise VoiceError(f"there is no speech engine {name!r}", f"choose {' or '.join(SPEECH_ENGINES)}")
    return SPEECH_ENGINES[name]


def probe_speech_engines(store: ModelStore) -> Iterator[Finding]:
    """What all engines have and lack on this machine."""
    for entry in SPEECH_ENGINES.values():
        yield from entry.probe(store)
