"""Engines over the network, which charge: as many requests under way as the service takes, within the budget.

Each request is written down before it is sent. What earlier runs sent and did not finish is asked for in the service's
history before it is paid again.

Knows requests and what they cost; nothing of any one service.
"""

import asyncio
from pathlib import Path
from typing import Any

from evoxtral.corpus.synthesis.casting import Take, spoken_turns
from evoxtral.corpus.synthesis.finishing import finish_clip
from evoxtral.corpus.synthesis.intents import Intents
from evoxtral.corpus.synthesis.run_state import Run
from evoxtral.data.records import Clip
from evoxtral.errors import EvoxtralError, VoiceError
from evoxtral.tts.speech_engine import PaidSpeech, RemoteSpeechEngine


async def speak_remotely(run: Run, engine: RemoteSpeechEngine, max_characters: int | None) -> None:
    """Keep as many requests under way as the engine can use, within the budget."""
    intents = Intents(run.folder)
    under_way: dict[asyncio.Task[Clip], Take] = {}

    async def make(take: Take) -> Clip:
        intents.note(take)
        if take.turns:
            paid = await engine.speak_dialogue_paid(spoken_turns(take), seed=take.seed)
        else:
            paid = await engine.speak_paid(take.script.tagged_text, voice=take.voice, seed=take.seed)
        return await asyncio.to_thread(_finish, run.folder, take, paid)

    def settle(task: asyncio.Task[Clip], take: Take) -> None:
        run.report.characters = engine.charged_characters
        try:
            run.record(task.result())
        except VoiceError as error:
            run.stop(str(error))
        except EvoxtralError as error:
            run.fail(take, str(error))

    try:
        await _recall_lost(run, engine, intents)
        if max_characters is not None:
            engine.limit_charges(max_characters - run.spent_before)
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


async def _recall_lost(run: Run, engine: RemoteSpeechEngine, intents: Intents) -> None:
    """Finish the clips of requests that were sent and paid before, and take them off what waits."""
    lost = intents.lost(run.waiting)
    if not lost or not run.may_go_on():
        return
    try:
        found = await engine.recall([request for _, request in lost], known_request_ids=run.request_ids)
    except EvoxtralError as error:
        run.stop(str(error))  # rather than pay for what may be there
        return
    for (take, _), paid in zip(lost, found, strict=True):
        if paid is None:
            continue
        try:
            clip = await asyncio.to_thread(_finish, run.folder, take, paid, from_history=True)
        except EvoxtralError:
            continue  # what was kept is no speech: it is spoken anew
        run.waiting.remove(take)
        run.spent_before += paid.characters
        run.record(clip)


def _finish(folder: Path, take: Take, paid: PaidSpeech, **details: Any) -> Clip:
    details["characters"] = paid.characters
    if paid.request_id is not None:
        details["request_id"] = paid.request_id
    return finish_clip(folder, take, paid.speech, **details)
