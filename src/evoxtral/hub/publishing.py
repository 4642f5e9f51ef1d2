"""Uploading a folder to the Hugging Face Hub: what would go there, whether it is fit to, and the upload.

Knows repositories, and what of a folder others cannot use: no card, a base that lies on this machine. Adds the handler
of Inference Endpoints. How files travel is left to huggingface_hub, which skips what is there already: an upload that
was cut off goes on when it is made again.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import evoxtral
from evoxtral.data.files import write_atomically
from evoxtral.errors import HubError

RepoType = Literal["model", "dataset"]

# As huggingface_hub reads patterns: "*" matches "/" too.
_IGNORED: Final = (".*", "*/.*", "__pycache__/*", "*/__pycache__/*")
# Of a dataset that was built anew, what an earlier build had uploaded.
_REPLACED: Final = "data/*.parquet"
_HANDLER: Final = Path(__file__).with_name("endpoint_handler.py")


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """A file of the repository, and its size in bytes."""

    path: str
    size: int


@dataclass(frozen=True, slots=True)
class UploadPlan:
    """What an upload of a folder would carry.

    Attributes:
        files: all of them, by path.
        added: files that are written into the folder first, by name.
    """

    folder: Path
    repo_type: RepoType
    files: tuple[PlannedFile, ...]
    added: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """In bytes."""
        return sum(file.size for file in self.files)


def plan_upload(folder: Path) -> UploadPlan:
    """Look at a folder that is to be published; changes nothing and asks no network.

    Args:
        folder: what `corpus build`, `train` or `hub export` wrote.

    Raises:
        HubError: it is not fit to be published.
    """
    from huggingface_hub.utils import filter_repo_objects

    repo_type = _repo_type(folder)
    _check_card(folder, repo_type)
    added: dict[str, bytes] = {}
    if repo_type == "model":
        _check_base(folder)
        added = _endpoint_files(folder)
    paths = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    sizes = {path: (folder / path).stat().st_size for path in filter_repo_objects(paths, ignore_patterns=_IGNORED)}
    sizes |= {name: len(content) for name, content in added.items()}
    return UploadPlan(folder, repo_type, tuple(PlannedFile(path, sizes[path]) for path in sorted(sizes)), added)


def upload(
    plan: UploadPlan,
    repository: str,
    *,
    private: bool = True,
    endpoint: str | None = None,
    token: str | None = None,
) -> str:
    """Carry out a plan; returns the repository's address.

    Args:
        repository: OWNER/NAME; made if it is not there.
        private: of a repository that is made; one that is there stays as it is.
        endpoint, token: the Hub and the right to write there; None leaves both to the environment.

    Raises:
        HubError: the Hub refuses, or cannot be reached.
    """
    from huggingface_hub import HfApi, get_token
    from huggingface_hub.utils.tqdm import disable_progress_bars

    if not sys.stderr.isatty():
        disable_progress_bars()
    for name, content in plan.added.items():
        write_atomically(plan.folder / name, content)
    api = HfApi(endpoint=endpoint, token=token)
    try:
        address = api.create_repo(repository, repo_type=plan.repo_type, private=private, exist_ok=True)
        api.upload_folder(
            repo_id=repository,
            repo_type=plan.repo_type,
            folder_path=plan.folder,
            ignore_patterns=list(_IGNORED),
            delete_patterns=_REPLACED if plan.repo_type == "dataset" else None,
            commit_message=f"Upload by Evoxtral {evoxtral.__version__}",
        )
    except Exception as error:  # the Hub's own errors, and those of whichever HTTP library its client uses
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        for secret in (token, get_token()):
            reason = reason.replace(secret, "***") if secret else reason
        raise HubError(
            f"the Hub did not take {repository}: {reason}",
            "it needs the network, and a token that may write: set HF_TOKEN, or: hf auth login; then try again: what "
            "is there already is not sent twice",
        ) from error
    return str(address)


def _repo_type(folder: Path) -> RepoType:
    if any(folder.glob(_REPLACED)):
        return "dataset"
    if any((folder / name).is_file() for name in ("adapter_config.json", "config.json", "params.json")):
        return "model"
    raise HubError(
        f"{folder}: holds neither a dataset nor a model",
        "name FOLDER/dataset of a corpus, or a folder of weights such as RUN/adapter",
    )


def _check_card(folder: Path, repo_type: RepoType) -> None:
    from huggingface_hub import DatasetCard, ModelCard

    path = folder / "README.md"
    if not path.is_file():
        remedy = "evoxtral corpus build" if repo_type == "dataset" else f"evoxtral hub card {folder}"
        raise HubError(f"{folder}: has no README.md, without which nobody knows what it is", f"write it: {remedy}")
    try:
        (DatasetCard if repo_type == "dataset" else ModelCard).load(path)
    except Exception as error:  # YAML's errors and the library's own
        cause = " ".join(str(error).split())
        raise HubError(f"{path}: the Hub cannot read its front matter: {cause}", "mend the YAML above") from error


def _check_base(folder: Path) -> None:
    """An adapter is of use to others only with the base's name on the hub."""
    from huggingface_hub.utils import HFValidationError, validate_repo_id

    path = folder / "adapter_config.json"
    if not path.is_file():
        return
    try:
        base = json.loads(path.read_text(encoding="utf-8"))["base_model_name_or_path"]
        validate_repo_id(base)
        if not isinstance(base, str) or "/" not in base or Path(base).exists():
            raise HFValidationError(base)
    except (ValueError, KeyError, TypeError, HFValidationError) as error:
        raise HubError(
            f"{path}: does not name the adapter's base by its hub id", 'set "base_model_name_or_path" to OWNER/NAME'
        ) from error


def _endpoint_files(folder: Path) -> dict[str, bytes]:
    """What Inference Endpoints need to run the folder, for formats that Evoxtral itself runs; a user's own files stay."""
    if (folder / "params.json").is_file():
        return {}
    extra = "" if (folder / "model.bin").is_file() else "[train]"
    ours = {
        "handler.py": _HANDLER.read_bytes(),
        "requirements.txt": f"# What handler.py needs.\nevoxtral{extra}=={evoxtral.__version__}\n".encode(),
    }
    return {name: content for name, content in ours.items() if _is_ours(folder / name, content)}


def _is_ours(path: Path, content: bytes) -> bool:
    """Whether a file is not there, or was written by an earlier upload, and may be written again."""
    return not path.exists() or path.read_bytes().partition(b"\n")[0] == content.partition(b"\n")[0]
