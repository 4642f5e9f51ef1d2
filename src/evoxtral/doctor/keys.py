"""Keys: whether each is set, as a variable or by a login that its service's program stored. Never what it is."""

import netrc
from collections.abc import Iterator

from evoxtral.findings import Finding
from evoxtral.settings import read_settings


def find_keys() -> Iterator[Finding]:
    """Which keys are set, under the variable that is read first."""
    settings = read_settings()
    yield _key("ELEVENLABS_API_KEY", bool(settings.elevenlabs_keys), "speech of ElevenLabs")
    yield _key("MISTRAL_API_KEY", bool(settings.mistral_keys), "speech of Mistral")
    yield _key("OPENAI_API_KEY", settings.openai_key is not None, "scripts and transcription of OpenAI")
    yield _key("ANTHROPIC_API_KEY", settings.anthropic_key is not None, "scripts of Anthropic")
    yield _key("EVOXTRAL_REMOTE_KEY", settings.remote_key is not None, "the remote engine, where its server wants one")
    yield _key("HF_TOKEN", has_hub_token(), "gated and private models of the hub", "hf auth login")
    has_wandb = settings.wandb_key is not None or _has_wandb_login()
    yield _key("WANDB_API_KEY", has_wandb, "runs on Weights & Biases", "wandb login")


def has_hub_token() -> bool:
    """Whether the hub's client has a token, by a variable or a login."""
    from huggingface_hub import get_token

    return bool(get_token())


def _has_wandb_login() -> bool:
    try:
        return "api.wandb.ai" in netrc.netrc(read_settings().netrc).hosts
    except (OSError, netrc.NetrcParseError):
        return False


def _key(variable: str, present: bool, purpose: str, command: str | None = None) -> Finding:
    remedy = f"export {variable}=..." + (f", or: {command}" if command else "")
    return Finding(variable, present, purpose, None if present else remedy)
