"""Where models of the hub are kept on this machine, and how one comes there.

Knows the hub's client and which files of a model are needed; nothing of what is in them.
"""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from evoxtral.errors import ModelError

# What engines read, of a repository's own folder: not the copies for other frameworks, not a training's checkpoints.
_DESCRIPTIONS = ["*.json", "*.txt", "*.model", "*.jinja"]
_CTRANSLATE2_WEIGHTS = ["model.bin"]
_TORCH_WEIGHTS = ["*.safetensors"]
_IGNORED = ["*/*", "consolidated*", "*.fp32*"]
# Taken where there is nothing newer.
_OLD_TORCH_WEIGHTS = ["pytorch_model*.bin", "adapter_model.bin"]


@dataclass(frozen=True, slots=True)
class ModelStore:
    """A folder for models.

    Attributes:
        folder: holds models by name, and what is fetched from the hub in the layout of the hub's client; None for
            the client's own cache.
        offline: never touch the network.
    """

    folder: Path | None = None
    offline: bool = False

    @property
    def hub_folder(self) -> Path:
        """Where models of the hub are kept."""
        if self.folder is not None:
            return self.folder.expanduser()
        from huggingface_hub.constants import HF_HUB_CACHE

        return Path(HF_HUB_CACHE)

    def fetch(self, hub_id: str, *, with_torch: bool = True) -> Path:
        """The folder of a model's files, which are fetched from the hub if they are not there or there are newer ones.

        Args:
            hub_id: such as "mistralai/Voxtral-Mini-3B-2507".
            with_torch: whether weights for PyTorch are of use; without, only those for CTranslate2 are fetched.

        Raises:
            ModelError: it is not there and cannot be fetched, or must not be.
        """
        weights = [*_CTRANSLATE2_WEIGHTS, *(_TORCH_WEIGHTS if with_torch else ())]
        folder = self._snapshot(hub_id, [*_DESCRIPTIONS, *weights], _IGNORED)
        if with_torch and not _holds(folder, weights):
            weights += _OLD_TORCH_WEIGHTS
            folder = self._snapshot(hub_id, [*_DESCRIPTIONS, *weights], _IGNORED)
            if not _holds(folder, weights):
                if self.offline:
                    raise self._not_here(hub_id)
                raise ModelError(f"{hub_id}: holds no weights that can be run", "name a Voxtral or Whisper model")
        return folder

    def fetch_descriptions(self, hub_id: str) -> Path:
        """The folder of a model's configuration and tokenizer, without its weights; otherwise as `fetch`.

        What tells whether a model can be run at all, before gigabytes come.
        """
        return self._snapshot(hub_id, _DESCRIPTIONS, _IGNORED)

    def fetch_files(self, hub_id: str, patterns: Sequence[str]) -> Path:
        """The folder of the files that match, of anything on the hub.

        Args:
            patterns: such as "onnx/model.onnx" or "voices/*.bin"; "*" is everything. Each matches some file.

        Raises:
            ModelError: they are not there and cannot be fetched, or must not be.
        """
        folder = self._snapshot(hub_id, list(patterns), None)
        for pattern in patterns:
            if not _holds(folder, [pattern]):
                raise self._not_here(hub_id) if self.offline else ModelError(f"{hub_id}: has no file {pattern}")
        return folder

    def find_files(self, hub_id: str, patterns: Sequence[str]) -> Path | None:
        """What `fetch_files` gives, if it is on this machine already; else None. Asks no network."""
        try:
            return replace(self, offline=True).fetch_files(hub_id, patterns)
        except ModelError:
            return None

    def _snapshot(self, hub_id: str, allowed: list[str] | None, ignored: list[str] | None) -> Path:
        import huggingface_hub
        from huggingface_hub.errors import GatedRepoError, LocalEntryNotFoundError, RepositoryNotFoundError
        from huggingface_hub.utils.tqdm import disable_progress_bars

        if not sys.stderr.isatty():
            disable_progress_bars()
        try:
            return Path(
                huggingface_hub.snapshot_download(
                    hub_id,
                    cache_dir=self.hub_folder,
                    allow_patterns=allowed,
                    ignore_patterns=ignored,
                    local_files_only=self.offline,
                )
            )
        except LocalEntryNotFoundError as error:
            if self.offline or huggingface_hub.is_offline_mode():
                raise self._not_here(hub_id) from error
            raise ModelError(
                f"{hub_id}: is not in {self.hub_folder}, and the hub cannot be reached", "check the network"
            ) from error
        except GatedRepoError as error:
            raise ModelError(
                f"{hub_id}: its owners want its terms accepted",
                f"accept them at https://huggingface.co/{hub_id}, then: hf auth login",
            ) from error
        except RepositoryNotFoundError as error:
            raise ModelError(
                f"{hub_id}: the hub has no such model, or not for you",
                "check the name; for a private one: hf auth login",
            ) from error
        except Exception as error:  # the client's errors have no common base; a full disk is among them
            cause = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
            raise ModelError(
                f"{hub_id}: cannot be fetched into {self.hub_folder}: {' '.join(cause.split())[:200]}"
            ) from error

    def _not_here(self, hub_id: str) -> ModelError:
        place = "" if self.folder is None else f" --cache-dir {self.folder}"
        return ModelError(
            f"{hub_id}: is not (whole) in {self.hub_folder}, and offline nothing is fetched",
            f"without --offline it is fetched; or: hf download {hub_id}{place}",
        )


HUB_CACHE = ModelStore()
"""The cache of the hub's client: ~/.cache/huggingface/hub, or where HF_HOME or HF_HUB_CACHE say."""


def _holds(folder: Path, patterns: list[str]) -> bool:
    return any(True for pattern in patterns for _ in folder.glob(pattern))
