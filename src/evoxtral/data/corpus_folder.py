"""The corpus folder: which file holds what, and how files are written so that a kill loses nothing finished.

    corpus.yaml       the configuration
    scripts.jsonl     scripts, append-only
    clips.jsonl       journal of spoken scripts, append-only; a later line of the same id replaces an earlier one
    requests.jsonl    journal of requests to a paid engine, written before each is sent
    audio/            the clips' audio
    checked.jsonl     journal of validated clips, append-only, good and bad
    set_aside.jsonl   clips that failed validation, with the reason
    dataset/          what `corpus build` made

Only relative paths are stored, so the folder can be moved. Knows nothing of how records come about.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import yaml
from pydantic import ValidationError

from evoxtral.data.corpus_config import CorpusConfig
from evoxtral.data.files import write_atomically
from evoxtral.data.journal import Journal
from evoxtral.data.records import Clip, Script, SetAside
from evoxtral.data.yaml_files import read_yaml
from evoxtral.errors import CorpusError


class CorpusFolder:
    """A folder that holds one corpus; all access to its files goes through here."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._scripts = Journal(self.path / "scripts.jsonl", Script)
        self._clips = Journal(self.path / "clips.jsonl", Clip)

    @property
    def config_path(self) -> Path:
        return self.path / "corpus.yaml"

    @property
    def audio_path(self) -> Path:
        return self.path / "audio"

    @property
    def dataset_path(self) -> Path:
        return self.path / "dataset"

    @property
    def set_aside_path(self) -> Path:
        return self.path / "set_aside.jsonl"

    def read_config(self) -> CorpusConfig:
        """The folder's configuration; the defaults where it has none yet.

        Raises:
            CorpusError: `corpus.yaml` is not a valid configuration.
        """
        if not self.config_path.exists():
            return CorpusConfig()
        try:
            return CorpusConfig.model_validate(read_yaml(self.config_path, CorpusError))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise CorpusError(
                f"{self.config_path}: {where}{': ' if where else ''}{first['msg']}", "mend the configuration"
            ) from error

    def write_config(self, config: CorpusConfig) -> None:
        text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
        write_atomically(self.config_path, text.encode())

    def read_scripts(self) -> list[Script]:
        """All scripts, in the order they were added; empty where there are none yet."""
        return self._scripts.read()

    def iterate_scripts(self) -> Iterator[Script]:
        """The same, one by one."""
        return iter(self._scripts)

    def append_scripts(self, scripts: Iterable[Script]) -> None:
        self._scripts.append(scripts)

    def read_clips(self) -> list[Clip]:
        """All recorded clips, the last line of an id winning, in order of first appearance."""
        return list(self._clips.latest(lambda clip: clip.id).values())

    def append_clips(self, clips: Iterable[Clip]) -> None:
        """Record clips whose audio is on disk already."""
        self._clips.append(clips)

    def read_set_aside(self) -> list[SetAside]:
        return Journal(self.set_aside_path, SetAside).read()

    def write_set_aside(self, clips: Sequence[SetAside]) -> None:
        """Replace the list of clips that failed."""
        lines = (json.dumps(clip.model_dump(), ensure_ascii=False) + "\n" for clip in clips)
        write_atomically(self.set_aside_path, "".join(lines).encode())

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep a second process from changing this folder at the same time; a killed holder's lock is gone.

        Raises:
            CorpusError: another process works on the folder.
        """
        from filelock import FileLock, Timeout

        self.path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.path / ".lock", timeout=0)
        try:
            lock.acquire()
        except Timeout as error:
            raise CorpusError(f"another process works on {self.path}", "wait until it has finished") from error
        try:
            yield
        finally:
            lock.release()
