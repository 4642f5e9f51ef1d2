"""The scripts of a corpus folder: whatever writer its configuration names fills it up to its count.

Knows the writers by name and keeps what they write; knows nothing of how they write.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from evoxtral.data.corpus_config import ScriptsConfig
from evoxtral.data.corpus_folder import CorpusFolder
from evoxtral.data.records import Script

# Scripts that go to disk at once: a sync for each would take longer than writing them.
_PORTION = 100


@dataclass(slots=True)
class WrittenScripts:
    """What a run wrote.

    Attributes:
        before, now: scripts in the folder before and after it.
        given_up: reason -> how many scripts could not be written for it.
        stopped: why it ended early, or None.
    """

    before: int
    now: int
    given_up: Counter[str] = field(default_factory=Counter)
    stopped: str | None = None


def write_missing(
    corpus: CorpusFolder, config: ScriptsConfig, *, on_progress: Callable[[int, int], None] = lambda done, total: None
) -> WrittenScripts:
    """Write what the folder lacks to its configured count. The same call after any interruption resumes.

    Args:
        on_progress: called with the number of scripts that exist and of all.

    Raises:
        CorpusError: the folder's files are malformed, another process works on it, or the writer cannot go on.
    """
    with corpus.locked():
        existing = corpus.read_scripts()
        portion: list[Script] = []
        report = WrittenScripts(len(existing), len(existing))

        def keep(script: Script) -> None:
            portion.append(script)
            report.now += 1
            on_progress(report.now, max(config.count, report.now))
            if config.writer != "grammar" or len(portion) == _PORTION:  # what a model wrote was paid for
                corpus.append_scripts(portion)
                portion.clear()

        try:
            if config.writer == "grammar":
                from evoxtral.corpus.writers import grammar

                grammar.write_scripts(config.count, seed=config.seed, existing=existing, on_script=keep)
            else:
                from evoxtral.corpus.writers import llm

                written = llm.write_scripts(config, existing=existing, on_script=keep)
                report.given_up.update(given_up.reason for given_up in written.given_up)
                report.stopped = written.stopped
        finally:
            # An interrupt may have come between writing a portion and forgetting it.
            saved = {script.id for script in corpus.read_scripts()}
            corpus.append_scripts(script for script in portion if script.id not in saved)
    return report
