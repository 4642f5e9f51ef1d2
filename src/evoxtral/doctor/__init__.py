"""What this machine can run, and for each thing that is missing the command or variable that adds it.

Asks the registries of engines and looks at packages, files and settings: loads no model, calls nobody, and of a key
tells only whether it is set.
"""

from dataclasses import dataclass

from evoxtral.doctor.extras import find_extras, own_requirements
from evoxtral.doctor.folders import Folder, find_folders, models_in
from evoxtral.doctor.keys import find_keys, has_hub_token
from evoxtral.doctor.machine import Machine, look_at_machine
from evoxtral.findings import Finding, is_importable
from evoxtral.inference.engines.registry import engines
from evoxtral.models import HUB_CACHE, ModelStore
from evoxtral.tts.registry import probe_speech_engines

__all__ = ["Diagnosis", "Folder", "Machine", "diagnose"]


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All that was found."""

    machine: Machine
    engines: tuple[Finding, ...]
    speakers: tuple[Finding, ...]
    voices: tuple[Finding, ...]
    server: tuple[Finding, ...]
    extras: tuple[Finding, ...]
    keys: tuple[Finding, ...]
    folders: tuple[Folder, ...]


def diagnose(store: ModelStore = HUB_CACHE) -> Diagnosis:
    """Look at everything; `store` says where models are kept."""
    return Diagnosis(
        machine=look_at_machine(),
        engines=tuple(row.probe() for row in engines()),
        speakers=_speakers(store),
        voices=tuple(probe_speech_engines(store)),
        server=(_studio(),),
        extras=tuple(find_extras(own_requirements())),
        keys=tuple(find_keys()),
        folders=tuple(find_folders(store)),
    )


def _speakers(store: ModelStore) -> tuple[Finding, ...]:
    from evoxtral.inference.diarization import PYANNOTE_MODEL

    embedded = Finding("embedded", True, "part of the package; hears no two speakers at once")
    name = "pyannote.audio"
    if not is_importable(name):
        return embedded, Finding(name, False, "not installed", "pip install 'evoxtral[diarize]'")
    if PYANNOTE_MODEL in models_in(store.hub_folder):
        return embedded, Finding(name, True, PYANNOTE_MODEL)
    if has_hub_token():
        return embedded, Finding(name, True, f"{PYANNOTE_MODEL}, to be fetched on first use")
    return embedded, Finding(
        name,
        False,
        "no right to its weights",
        f"accept the terms at https://huggingface.co/{PYANNOTE_MODEL}, then: hf auth login",
    )


def _studio() -> Finding:
    from evoxtral.server.settings import STUDIO_FOLDER

    if (STUDIO_FOLDER / "index.html").is_file():
        return Finding("Studio", True, "built, served by: evoxtral serve")
    return Finding("Studio", False, "not built", "make studio")
