"""Engines over the network, which charge: as many requests under way as the service takes, within the budget.

Knows requests and what they cost; nothing of any one service.
"""

import asyncio
from typing import Any

from evoxtral.corpus.synthesis.casting import Take
from evoxtral.corpus.synthesis.finishing import finish_clip
from evoxtral.corpus.synthesis.run_state import Run
from evoxtral.data.records import Clip
from evoxtral.errors import EvoxtralError, VoiceError
from evoxtral.tts.speech_engine import RemoteSpeechEngine


async def speak_remotely(run: Run, engine: RemoteSpeechEngine, max_characters: int | None) -> None:
    """Keep as many requests under way as the engine can use, within the budget."""
    if max_characters is not None:
        engine.limit_charges(max_characters - run.spent_before)
    under_way: dict[asyncio.Task[Clip], Take] = {}

    async def make(take: Take) -> Clip:
        paid = await engine.speak_paid(take.script.tagged_text, voice=take.voice, seed=take.seed)
        details: dict[str, Any] = {"characters": paid.characters}
        if paid.request_id is not None:
            details["request_id"] = paid.request_id
        return await asyncio.to_thread(finish_clip, run.folder, take, paid.speech, **details)

    def settle(task: asyncio.Task[Clip], take: Take) -> None:
        run.report.characters = engine.charged_characters
        try:
            run.record(task.result())
        except VoiceError as error:
            run.stop(str(error))
        except EvoxtralError as error:
            run.fail(take, str(error))

    try:
        while True:
            while run.waiting and len(under_way) < engine.concurrency and run.may_go_on():
                take = run.waiting.popleft()
                under_way[asyncio.create_task(make(take))] = take
            if not under_way:
                return
            finished, _ = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
            for task in finished:
                settle(task, under_way.pop(task))
    finally:
        # After an error or Ctrl-C: what was sent is paid for and is waited for and recorded, what was not is given up.
        try:
            engine.stop()
            if under_way:
                await asyncio.wait(under_way)
                for task in list(under_way):
                    settle(task, under_way.pop(task))
        finally:
            await engine.aclose()
