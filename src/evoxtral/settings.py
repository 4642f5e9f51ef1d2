"""What the environment says: the one place where variables are read. Nothing is written to the environment here.

Read anew at each call of `read_settings`, so that a variable set by a test or a notebook counts. Knows names and types;
knows nothing of what is done with the values. Keys are `SecretStr`: they show in no message, log or traceback.
"""

import os
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Variables that Evoxtral reads; one that is empty or blank counts as not set."""

    model_config = SettingsConfigDict(env_prefix="EVOXTRAL_", env_ignore_empty=True, extra="ignore", frozen=True)

    kokoro_dir: str | None = None
    """Folder with Kokoro's weights and voices, or their hub id."""

    piper_dir: Path | None = None
    """Folder of Piper's `.onnx` voices."""

    recordings_dir: Path | None = None
    """Folder with sets of recordings, for training data."""

    speech_cache: Path | None = None
    """Folder where raw phrases of Kokoro, and sentences that were respoken, are kept; by default the latter alone."""

    api_key: SecretStr | None = None
    """Key of an Evoxtral server, for its client and `evoxtral listen --server`."""

    remote_key: SecretStr | None = None
    """Key of the remote engine's server."""

    openai_key: SecretStr | None = Field(default=None, validation_alias="OPENAI_API_KEY")
    """OpenAI: scripts and transcription. No other server is sent it."""

    anthropic_key: SecretStr | None = Field(default=None, validation_alias="ANTHROPIC_API_KEY")
    """Anthropic: scripts."""

    elevenlabs_key: SecretStr | None = Field(default=None, validation_alias="ELEVENLABS_API_KEY")
    """ElevenLabs: speech."""

    elevenlabs_key_list: SecretStr | None = Field(default=None, validation_alias="ELEVENLABS_API_KEYS")
    """Several keys of ElevenLabs, separated by commas."""

    mistral_key: SecretStr | None = Field(default=None, validation_alias="MISTRAL_API_KEY")
    """Mistral: speech."""

    mistral_key_list: SecretStr | None = Field(default=None, validation_alias="MISTRAL_API_KEYS")
    """Several keys of Mistral, separated by commas."""

    hub_token: SecretStr | None = Field(default=None, validation_alias="HF_TOKEN")
    """Hugging Face Hub: gated and private models, uploads."""

    wandb_key: SecretStr | None = Field(default=None, validation_alias="WANDB_API_KEY")
    """Weights & Biases: runs."""

    netrc: Path | None = Field(default=None, validation_alias="NETRC")
    """Where logins are kept, if not in `~/.netrc`."""

    @field_validator("*", mode="before")
    @classmethod
    def _blank_is_unset(cls, value: Any) -> Any:
        return None if isinstance(value, str) and not value.strip() else value

    @property
    def elevenlabs_keys(self) -> tuple[SecretStr, ...]:
        """All keys of ElevenLabs, each once, in order."""
        return _all_keys(self.elevenlabs_key_list, self.elevenlabs_key)

    @property
    def mistral_keys(self) -> tuple[SecretStr, ...]:
        """All keys of Mistral, each once, in order."""
        return _all_keys(self.mistral_key_list, self.mistral_key)


def _all_keys(several: SecretStr | None, single: SecretStr | None) -> tuple[SecretStr, ...]:
    keys = several.get_secret_value().split(",") if several else []
    keys += [single.get_secret_value()] if single else []
    return tuple(SecretStr(key) for key in dict.fromkeys(key.strip() for key in keys) if key)


def read_settings() -> Settings:
    """The settings as the environment has them now."""
    return Settings()


def read_secret(variable: str) -> SecretStr | None:
    """The key in a variable that a user's own configuration names; None where it is not set or empty."""
    value = os.environ.get(variable, "").strip()
    return SecretStr(value) if value else None
