"""The Python client of a running server: recordings, live sound and speech, with retries and typed answers.

    async with Client("http://127.0.0.1:8000") as client:
        transcript = await client.transcribe("talk.mp3", diarize=True)

Knows the server's addresses and messages; imports nothing of the server.
"""

from evoxtral.client.events import (
    Done,
    EndOfTurnLikely,
    Final,
    Partial,
    Ready,
    SpeakerUpdate,
    SpeechStarted,
    StreamEvent,
    StreamFault,
    TurnResumed,
)
from evoxtral.client.requests import Client, Job, NewText, Progress, SpokenFile
from evoxtral.client.streaming import LiveConnection

__all__ = [
    "Client",
    "Done",
    "EndOfTurnLikely",
    "Final",
    "Job",
    "LiveConnection",
    "NewText",
    "Partial",
    "Progress",
    "Ready",
    "SpeakerUpdate",
    "SpeechStarted",
    "SpokenFile",
    "StreamEvent",
    "StreamFault",
    "TurnResumed",
]
