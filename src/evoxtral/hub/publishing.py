"""Uploading to the Hugging Face Hub. Knows repositories and folders; nothing of what is in them."""

from pathlib import Path

from evoxtral.errors import CorpusError


def push_dataset(
    folder: Path,
    repository: str,
    *,
    private: bool = True,
    endpoint: str | None = None,
    token: str | None = None,
) -> str:
    """Upload a built dataset to the Hugging Face Hub; returns its address.

    Args:
        folder: what `corpus build` wrote.
        endpoint, token: the Hub and the right to write there; None leaves both to the environment.

    Raises:
        CorpusError: nothing was built, or the Hub refuses.
    """
    from huggingface_hub import HfApi

    if not (folder / "README.md").exists():
        raise CorpusError(f"{folder} holds no dataset yet", f"build it: evoxtral corpus build {folder.parent}")
    api = HfApi(endpoint=endpoint, token=token)
    try:
        address = api.create_repo(repository, repo_type="dataset", private=private, exist_ok=True)
        api.upload_folder(repo_id=repository, repo_type="dataset", folder_path=folder, delete_patterns="data/*.parquet")
    except Exception as error:  # the Hub's own errors, and those of whichever HTTP library its client uses
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise CorpusError(
            f"the Hub did not take {repository}: {reason}",
            "it needs the network, and a token that may write: set HF_TOKEN, or: hf auth login",
        ) from error
    return str(address)
