"""What this machine can run, and for each thing that is missing the command or variable that adds it.

Looks at packages, files and variables: loads no model, calls nobody, and of a key tells only whether it is set.
"""

import importlib.metadata
import netrc
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISLNK

import evoxtral
from evoxtral.errors import ModelError
from evoxtral.findings import Finding, is_importable
from evoxtral.models import EDGE_FOLDER, HUB_CACHE, ModelStore, resolve_model
from evoxtral.tts.registry import probe_speech_engines

_EDGE_PACKAGES = ("ctranslate2", "faster_whisper", "onnxruntime", "tokenizers")
_TORCH_PACKAGES = ("torch", "transformers", "peft", "mistral_common")
# Packages that are imported by another name than they are installed by.
_IMPORTED_AS = {"piper-tts": "piper", "scikit-learn": "sklearn"}
_FOR_DEVELOPERS = "dev"
_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(?:\[(?P<extras>[^]]*)\])?")
_EXTRA = re.compile(r"extra\s*==\s*['\"](?P<extra>[\w.-]+)['\"]")
_NVIDIA_SMI_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Gpu:
    """A graphics processor; its memory in bytes."""

    name: str
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Machine:
    """What there is to run on; `memory_bytes` is None where the system does not tell."""

    evoxtral: str
    python: str
    system: str
    cores: int
    memory_bytes: int | None
    gpus: tuple[Gpu, ...]


@dataclass(frozen=True, slots=True)
class Cache:
    """A folder that fills up by use; `models` are those of the hub or of the user in it."""

    name: str
    path: str
    size_bytes: int
    models: tuple[str, ...] = ()


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
    caches: tuple[Cache, ...]


def diagnose(store: ModelStore = HUB_CACHE) -> Diagnosis:
    """Look at everything; `store` says where models are kept."""
    usable, trouble = _gpus_of_torch()
    gpus = usable or _gpus_of_driver()
    keys = find_keys()
    return Diagnosis(
        machine=Machine(
            evoxtral=evoxtral.__version__,
            python=platform.python_version(),
            system=f"{platform.system()} {platform.release()} ({platform.machine()})",
            cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
            memory_bytes=_memory_bytes(),
            gpus=gpus,
        ),
        engines=(_edge_engine(), _torch_engine(gpus, usable, trouble), _remote_engine()),
        speakers=_speakers(store, has_token=any(key.present for key in keys if key.name == "HF_TOKEN")),
        voices=tuple(probe_speech_engines(store)),
        server=(_studio(),),
        extras=tuple(find_extras(_own_requirements())),
        keys=keys,
        caches=tuple(_caches(store)),
    )


def find_extras(requirements: Iterable[str], project: str = "evoxtral") -> Iterator[Finding]:
    """Which optional groups of packages can be imported, by a distribution's `Requires-Dist` lines."""
    groups: dict[str, list[str]] = {}
    for requirement in requirements:
        group = _EXTRA.search(requirement)
        if group is not None and group["extra"] != _FOR_DEVELOPERS:
            groups.setdefault(group["extra"], []).append(requirement)

    def missing_of(extra: str) -> Iterator[str]:
        for requirement in groups.get(extra, ()):
            match = _REQUIREMENT.match(requirement)
            assert match is not None
            if match["name"] == project:
                for other in (match["extras"] or "").split(","):
                    yield from missing_of(other.strip())
            elif not is_importable(_IMPORTED_AS.get(match["name"], match["name"].lower().replace("-", "_"))):
                yield match["name"]

    for extra in sorted(groups):
        missing = sorted(set(missing_of(extra)))
        yield Finding(extra, not missing, ", ".join(missing), f"pip install '{project}[{extra}]'" if missing else None)


def find_keys() -> tuple[Finding, ...]:
    """Which keys are set, under the variable that is read first."""
    from evoxtral.inference.engines.remote import KEY_VARIABLE, OPENAI_KEY_VARIABLE

    return (
        _key(("ELEVENLABS_API_KEY", "ELEVENLABS_API_KEYS"), "speech of ElevenLabs"),
        _key((OPENAI_KEY_VARIABLE,), "scripts and transcription of OpenAI"),
        _key(("ANTHROPIC_API_KEY",), "scripts of Anthropic"),
        _key((KEY_VARIABLE,), "the remote engine, where the server wants a key"),
        _key(("HF_TOKEN",), "gated and private models of the hub", _has_hub_token(), "hf auth login"),
        _key(("WANDB_API_KEY",), "runs on Weights & Biases", _has_wandb_login(), "wandb login"),
    )


def _key(variables: Sequence[str], purpose: str, stored: bool = False, command: str | None = None) -> Finding:
    present = stored or any(os.environ.get(name, "").strip() for name in variables)
    remedy = f"export {variables[0]}=..." + (f", or: {command}" if command else "")
    return Finding(variables[0], present, purpose, None if present else remedy)


def _has_hub_token() -> bool:
    from huggingface_hub import get_token

    return bool(get_token())


def _has_wandb_login() -> bool:
    try:
        return "api.wandb.ai" in netrc.netrc(os.environ.get("NETRC")).hosts
    except (OSError, netrc.NetrcParseError):
        return False


def _edge_engine() -> Finding:
    missing = [package for package in _EDGE_PACKAGES if not is_importable(package)]
    if missing:
        return Finding("edge", False, f"missing: {', '.join(missing)}", "pip install --force-reinstall evoxtral")
    try:
        resolve_model("edge")
    except ModelError as error:
        return Finding("edge", False, error.message, error.hint)
    return Finding("edge", True, "the packaged model, in CTranslate2 on the processor")


def _torch_engine(gpus: Sequence[Gpu], usable: Sequence[Gpu], trouble: str | None) -> Finding:
    missing = [package for package in _TORCH_PACKAGES if not is_importable(package)]
    if missing:
        return Finding("torch", False, f"missing: {', '.join(missing)}", "pip install 'evoxtral[train]'")
    if trouble is not None:
        return Finding("torch", False, trouble, "pip install --force-reinstall torch")
    if usable:
        return Finding("torch", True, f"Voxtral and Whisper on {usable[0].name}")
    if gpus:
        return Finding(
            "torch",
            True,
            f"Voxtral and Whisper on the processor: this PyTorch cannot use the {gpus[0].name}",
            "a build of PyTorch for its driver: https://pytorch.org/get-started/locally",
        )
    return Finding("torch", True, "Whisper, and slowly Voxtral, on the processor: there is no NVIDIA GPU")


def _remote_engine() -> Finding:
    return Finding("remote", True, "any OpenAI-compatible server: --model http://HOST:PORT/v1#MODEL")


def _speakers(store: ModelStore, *, has_token: bool) -> tuple[Finding, ...]:
    from evoxtral.inference.diarization import PYANNOTE_MODEL

    embedded = Finding("embedded", True, "part of the package; hears no two speakers at once")
    name = "pyannote.audio"
    if not is_importable(name):
        return embedded, Finding(name, False, "not installed", "pip install 'evoxtral[diarize]'")
    if PYANNOTE_MODEL in _models_in(store.hub_folder):
        return embedded, Finding(name, True, PYANNOTE_MODEL)
    if has_token:
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


def _caches(store: ModelStore) -> Iterator[Cache]:
    yield Cache("packaged model", str(EDGE_FOLDER), _size_bytes(EDGE_FOLDER))
    folder = store.hub_folder
    name = "models of the hub" if store.folder is None else "models"
    yield Cache(name, str(folder), _size_bytes(folder), tuple(_models_in(folder)))
    if speech := os.environ.get("EVOXTRAL_SPEECH_CACHE"):
        yield Cache("phrases of Kokoro", speech, _size_bytes(Path(speech)))


def _models_in(folder: Path) -> list[str]:
    """Models by name: what the hub's client keeps, and folders that hold a model."""
    if not folder.is_dir():
        return []
    fetched = [path.name.removeprefix("models--").replace("--", "/") for path in folder.glob("models--*--*")]
    own = [path.parent.relative_to(folder) for depth in ("*", "*/*") for path in folder.glob(f"{depth}/*config.json")]
    return sorted({*fetched, *(path.as_posix() for path in own if not path.parts[0].startswith("models--"))})


def _size_bytes(folder: Path) -> int:
    """Of all files, each once: the hub's client links to them."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # somebody tidies up meanwhile
                status = Path(place, name).lstat()
                total += 0 if S_ISLNK(status.st_mode) else status.st_size
    return total


def _gpus_of_torch() -> tuple[tuple[Gpu, ...], str | None]:
    """The GPUs that PyTorch can use, and why it cannot be imported although it is there."""
    if not is_importable("torch"):
        return (), None
    try:
        import torch

        found = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
    except Exception as error:  # a library of another version raises anything
        return (), f"PyTorch does not start: {' '.join(str(error).split())[:200]}"
    return tuple(Gpu(gpu.name, gpu.total_memory) for gpu in found), None


def _gpus_of_driver() -> tuple[Gpu, ...]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    query = [program, "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    try:
        told = subprocess.run(query, capture_output=True, text=True, timeout=_NVIDIA_SMI_TIMEOUT_S, check=True).stdout  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return ()
    gpus = []
    for line in told.splitlines():
        name, _, mebibytes = line.rpartition(",")
        if name and mebibytes.strip().isdecimal():
            gpus.append(Gpu(name.strip(), int(mebibytes) * 2**20))
    return tuple(gpus)


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _own_requirements() -> list[str]:
    try:
        return importlib.metadata.requires("evoxtral") or []
    except importlib.metadata.PackageNotFoundError:  # run from its sources
        return []
