"""What the environment says: the one place where variables are read. Nothing is written to the environment here.

Read anew at each call of `read_settings`, so that a variable set by a test or a notebook counts. Knows names and types;
knows nothing of what is done with the values. Keys are `SecretStr`: they show in no message, log or traceback.
"""

import os
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Variables that Evoxtral reads; an empty one counts as not set.

    Attributes:
        kokoro_dir: EVOXTRAL_KOKORO_DIR, a folder with Kokoro's weights or their hub id.
        piper_dir: EVOXTRAL_PIPER_DIR, a folder of Piper voices.
        recordings_dir: EVOXTRAL_RECORDINGS_DIR, a folder with sets of recordings.
        speech_cache: EVOXTRAL_SPEECH_CACHE, where raw phrases of Kokoro are kept.
        remote_key: EVOXTRAL_REMOTE_KEY, for the remote engine.
        openai_key, anthropic_key, hub_token, wandb_key: the services' own variables.
        elevenlabs_keys: ELEVENLABS_API_KEYS (separated by commas) and ELEVENLABS_API_KEY.
    """

    model_config = SettingsConfigDict(env_prefix="EVOXTRAL_", env_ignore_empty=True, extra="ignore", frozen=True)

    kokoro_dir: str | None = None
    piper_dir: Path | None = None
    recordings_dir: Path | None = None
    speech_cache: Path | None = None
    remote_key: SecretStr | None = None
    openai_key: SecretStr | None = Field(default=None, validation_alias="OPENAI_API_KEY")
    anthropic_key: SecretStr | None = Field(default=None, validation_alias="ANTHROPIC_API_KEY")
    elevenlabs_key: SecretStr | None = Field(default=None, validation_alias="ELEVENLABS_API_KEY")
    elevenlabs_key_list: SecretStr | None = Field(default=None, validation_alias="ELEVENLABS_API_KEYS")
    hub_token: SecretStr | None = Field(default=None, validation_alias="HF_TOKEN")
    wandb_key: SecretStr | None = Field(default=None, validation_alias="WANDB_API_KEY")

    @property
    def elevenlabs_keys(self) -> tuple[SecretStr, ...]:
        """All keys of ElevenLabs, each once, in order."""
        several = self.elevenlabs_key_list.get_secret_value().split(",") if self.elevenlabs_key_list else []
        single = [self.elevenlabs_key.get_secret_value()] if self.elevenlabs_key else []
        return tuple(SecretStr(key) for key in dict.fromkeys(key.strip() for key in [*several, *single]) if key)


def read_settings() -> Settings:
    """The settings as the environment has them now."""
    return Settings()


def read_secret(variable: str) -> SecretStr | None:
    """The key in a variable that a user's own configuration names; None where it is not set or empty."""
    value = os.environ.get(variable, "").strip()
    return SecretStr(value) if value else None
