"""The writer that asks a language model: any OpenAI-compatible endpoint, or Anthropic.

Every script is written to a brief (`evoxtral.corpus.briefs`). The model gets a few briefs at a time and answers in a
JSON schema. What it gets wrong is asked again with the reason, a limited number of times; then another brief takes its
place, once; what is given up is reported, never dropped in silence. Texts are kept with their tags under canonical
names; everything else about them is derived by `evoxtral.tags`.

Knows the budget of a run and what became of each brief; knows nothing of how scripts are stored or spoken.
"""

import asyncio
import random
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from evoxtral.corpus.briefs import Brief, plan, redeal
from evoxtral.corpus.composition import MAX_ROUGE_L
from evoxtral.corpus.similarity import SimilarityIndex
from evoxtral.corpus.writers.acceptance import Fault, find_fault, labels_for, read_answer, read_turns
from evoxtral.corpus.writers.chat_endpoints import Endpoint, ask, endpoint_for
from evoxtral.corpus.writers.prompt import describe, system_prompt
from evoxtral.data.corpus_config import ScriptsConfig
from evoxtral.data.records import Script
from evoxtral.tags import normalise_tags, parse

if TYPE_CHECKING:
    import httpx

_BRIEFS_PER_REQUEST = 5
# How often a brief is sent before it is given up.
_MAX_ASKS = 5
_TIMEOUT_S = 180.0
# Beginnings of the latest scripts that the model is asked not to repeat.
_SHOWN_BEGINNINGS = 12
_SHOWN_WORDS = 4


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A brief that the model never met, and what was wrong with its last answer."""

    brief: Brief
    reason: str


@dataclass(slots=True)
class WritingReport:
    """What a run has done so far, and at its end.

    Attributes:
        wanted: scripts that were missing at the start.
        written: scripts accepted.
        rejections: answers refused, by kind of fault.
        redealt: briefs that were asked for the full number of times and replaced by others.
        given_up: others that came to no more.
        requests: answers that came.
        tokens: what they used in both directions.
        stopped: why the run ended before every brief was met or given up, or None.
    """

    wanted: int
    written: int = 0
    rejections: Counter[str] = field(default_factory=Counter)
    redealt: int = 0
    given_up: list[GivenUp] = field(default_factory=list)
    requests: int = 0
    tokens: int = 0
    stopped: str | None = None

    @property
    def left(self) -> int:
        return self.wanted - self.written - len(self.given_up)


@dataclass(slots=True, eq=False)
class _Task:
    """A brief on its way to a script."""

    brief: Brief
    is_redealt: bool = False
    asks: int = 0
    last_text: str | None = None
    fault: Fault | None = None


def write_scripts(
    config: ScriptsConfig,
    *,
    existing: Sequence[Script] = (),
    on_script: Callable[[Script], None],
    on_progress: Callable[[WritingReport], None] = lambda report: None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> WritingReport:
    """Have a language model write the scripts that bring a corpus to `config.count`, counting the existing ones.

    Args:
        on_script: gets each script as soon as it is accepted; what it keeps, a run that is cut short does not lose.
        on_progress: called after every answer.
        sleep: how pauses between attempts are made.

    Raises:
        CorpusError: the model or its key is missing or refused, or the endpoint does not answer as it should.
    """
    endpoint = endpoint_for(config)
    return asyncio.run(_Run(config, endpoint, existing, on_script, on_progress, sleep).run())


class _Run:
    """One run: the briefs that wait, the texts that exist, and what was spent."""

    def __init__(
        self,
        config: ScriptsConfig,
        endpoint: Endpoint,
        existing: Sequence[Script],
        on_script: Callable[[Script], None],
        on_progress: Callable[[WritingReport], None],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._config = config
        self._endpoint = endpoint
        self._on_script = on_script
        self._on_progress = on_progress
        self._sleep = sleep
        self._rng = random.Random(f"llm:{config.seed}:{len(existing)}")
        self._waiting = deque(_Task(brief) for brief in plan(config.count, seed=config.seed, existing=existing))
        self._index = SimilarityIndex()
        for script in existing:
            self._index.add(script.tagged_text)
        self._ids = {script.id for script in existing}
        self._number = len(existing)
        self._beginnings: deque[str] = deque(maxlen=_SHOWN_BEGINNINGS)
        self._under_way = 0
        self.report = WritingReport(wanted=len(self._waiting))

    async def run(self) -> WritingReport:
        import httpx

        self._on_progress(self.report)
        requests: set[asyncio.Task[None]] = set()
        async with httpx.AsyncClient(timeout=_TIMEOUT_S) as client:
            try:
                while True:
                    while self._waiting and len(requests) < self._config.concurrency and self._affords_another():
                        self._under_way += 1
                        requests.add(asyncio.create_task(self._ask(client, self._take_batch())))
                    if not requests:
                        return self.report
                    done, requests = await asyncio.wait(requests, return_when=asyncio.FIRST_COMPLETED)
                    for request in done:
                        self._under_way -= 1
                        request.result()
                    self._on_progress(self.report)
            finally:
                for request in requests:
                    request.cancel()
                await asyncio.gather(*requests, return_exceptions=True)

    def _affords_another(self) -> bool:
        config, report = self._config, self.report
        if config.max_requests is not None and report.requests + self._under_way >= config.max_requests:
            if not self._under_way:
                report.stopped = f"the budget of {config.max_requests:,} requests is spent"
            return False
        if config.max_tokens is not None:
            # What the others under way will use is not known yet: take the mean so far, or a guess from the prompt.
            mean = report.tokens / report.requests if report.requests else len(system_prompt()) / 2
            if report.tokens + (self._under_way + 1) * mean > config.max_tokens:
                if not self._under_way:
                    report.stopped = f"the budget of {config.max_tokens:,} tokens is spent"
                return False
        return True

    def _take_batch(self) -> list[_Task]:
        """A few new briefs, or one that was answered wrongly before."""
        batch = [self._waiting.popleft()]
        while not batch[0].asks and len(batch) < _BRIEFS_PER_REQUEST and self._waiting and not self._waiting[0].asks:
            batch.append(self._waiting.popleft())
        return batch

    async def _ask(self, client: "httpx.AsyncClient", batch: Sequence[_Task]) -> None:
        """Send briefs, and sort the answers into accepted, to be asked again and given up."""
        prompt = self._prompt(batch)
        content, tokens = await ask(client, self._endpoint, system_prompt(), prompt, sleep=self._sleep)
        self.report.requests += 1
        self.report.tokens += tokens
        texts = read_answer(content) if content is not None else Fault("refused", "the model refused to answer")
        for number, task in enumerate(batch, 1):
            task.asks += 1
            if isinstance(texts, Fault):
                task.last_text, task.fault = None, texts
            elif number not in texts:
                task.last_text, task.fault = None, Fault("missing", "the answer did not have this item")
            else:
                task.last_text = normalise_tags(texts[number])
                task.fault = find_fault(task.last_text, task.brief)
                if task.fault is None and self._index.has_similar(task.last_text, MAX_ROUGE_L):
                    task.fault = Fault("near duplicate", "it is too much like another script")
            if task.fault is None:
                assert task.last_text is not None
                self._accept(task.brief, task.last_text)
                continue
            self.report.rejections[task.fault.kind] += 1
            if task.asks < _MAX_ASKS:
                self._waiting.append(task)
            elif not task.is_redealt:
                self.report.redealt += 1
                self._waiting.append(_Task(redeal(task.brief, self._rng), is_redealt=True))
            else:
                self.report.given_up.append(GivenUp(task.brief, task.fault.reason))

    def _prompt(self, batch: Sequence[_Task]) -> str:
        parts = [f"Write {len(batch)} script{'s' if len(batch) > 1 else ''}."]
        for number, task in enumerate(batch, 1):
            parts.append(f"{number}. {describe(task.brief, self._rng)}")
            if task.fault is not None:
                earlier = f" (it read: {task.last_text})" if task.last_text else ""
                parts.append(f"   An earlier answer was refused: {task.fault.reason}{earlier}")
        if self._beginnings:
            parts.append("Do not begin like these: " + "; ".join(self._beginnings))
        return "\n".join(parts)

    def _accept(self, brief: Brief, text: str) -> None:
        turns = read_turns(text, brief)
        text = " ".join(turn.tagged_text for turn in turns) if turns else text
        parsed = parse(text)
        while (name := f"llm-{self._number:06d}") in self._ids:
            self._number += 1
        self._ids.add(name)
        self._index.add(text)
        self._beginnings.append(" ".join(word.text for word in parsed.words[:_SHOWN_WORDS]))
        self._on_script(
            Script(
                id=name,
                tagged_text=text,
                turns=turns,
                told=labels_for(parsed, brief) if brief.told or not parsed.tags else None,
                slice_type=brief.slice_type,
                domain=brief.domain,
                writer=f"{self._config.writer}:{self._config.model}",
            )
        )
        self.report.written += 1
