"""The state of one run, whatever the engine: what waits, what was recorded, why it stops, what to tell.

Knows the corpus folder; nothing of processes or requests.
"""

import shutil
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from evoxtral.corpus.synthesis.casting import Take
from evoxtral.corpus.synthesis.finishing import find_finished
from evoxtral.data.corpus_folder import CorpusFolder
from evoxtral.data.records import Clip
from evoxtral.errors import CorpusError

# Below this no further clip is begun: one that was paid for must find room.
_MIN_FREE_BYTES = 64 * 2**20


@dataclass(slots=True)
class SynthesisReport:
    """What a run has done so far, and at its end.

    Attributes:
        total: clips that the corpus should have.
        finished_before: how many were recorded when the run started.
        adopted: ids of clips that an earlier run finished but did not record.
        made: clips made by this run.
        failures: clip id -> why it could not be made; the next run tries them again.
        characters: what this run was charged.
        audio_s: length of what it made.
        elapsed_s: time since it started.
        stopped: why it ended before every clip was tried, or None.
    """

    total: int
    finished_before: int = 0
    adopted: list[str] = field(default_factory=list)
    made: int = 0
    failures: dict[str, str] = field(default_factory=dict)
    characters: int = 0
    audio_s: float = 0.0
    elapsed_s: float = 0.0
    stopped: str | None = None

    @property
    def done(self) -> int:
        return self.finished_before + len(self.adopted) + self.made

    @property
    def clips_per_s(self) -> float:
        return self.made / self.elapsed_s if self.elapsed_s > 0 else 0.0


def is_recorded(folder: Path, take: Take, clips: dict[str, Clip]) -> bool:
    clip = clips.get(take.clip_id)
    if clip is None:
        return False
    if clip.tagged_text != take.script.tagged_text:
        raise CorpusError(
            f"the text of script {take.script.id!r} has changed since it was spoken", "give the new text a new id"
        )
    return (folder / clip.audio).exists()


def charge(clip: Clip) -> int:
    return int(clip.details.get("characters", 0))


class Run:
    """The state of one run, whatever the engine: what waits, what was recorded, what to tell."""

    def __init__(
        self, corpus: CorpusFolder, takes: Sequence[Take], on_progress: Callable[[SynthesisReport], None]
    ) -> None:
        self.folder = corpus.path
        self.audio_folder = corpus.audio_path
        self.report = SynthesisReport(total=len(takes))
        self.waiting: deque[Take] = deque()
        self._corpus = corpus
        self._on_progress = on_progress
        self._started_s = time.monotonic()
        clips = {clip.id: clip for clip in corpus.read_clips()}
        adopted = []
        for take in takes:
            if is_recorded(self.folder, take, clips):
                self.report.finished_before += 1
            elif clip := find_finished(self.folder, take):
                adopted.append(clip)
            else:
                self.waiting.append(take)
        corpus.append_clips(adopted)
        self.report.adopted = [clip.id for clip in adopted]
        finished = (clips | {clip.id: clip for clip in adopted}).values()
        self.spent_before = sum(map(charge, finished))
        self.request_ids = {str(name) for clip in finished if (name := clip.details.get("request_id")) is not None}
        self.tell()

    def may_go_on(self) -> bool:
        """Whether nothing forbids to begin another clip."""
        if not self.report.stopped and shutil.disk_usage(self.folder).free < _MIN_FREE_BYTES:
            self.stop(f"the disk of {self.folder} is full (make room; the same command resumes)")
        return not self.report.stopped

    def stop(self, reason: str) -> None:
        """Begin no further clip; the first reason is the one to tell."""
        self.report.stopped = self.report.stopped or reason

    def recorded_ids(self) -> set[str]:
        """Clips in the journal, as it is on disk now."""
        return {clip.id for clip in self._corpus.read_clips()}

    def record(self, clip: Clip) -> None:
        self._corpus.append_clips([clip])
        self.report.made += 1
        self.report.audio_s += clip.duration_s
        self.tell()

    def fail(self, take: Take, reason: str) -> None:
        self.report.failures[take.clip_id] = reason
        self.tell()

    def tell(self) -> None:
        self.report.elapsed_s = time.monotonic() - self._started_s
        self._on_progress(self.report)
