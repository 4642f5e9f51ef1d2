"""The engine's one worker: recordings wait their turn for it and the event loop stays free.

One recording at a time, because an engine uses all cores (or the GPU) for each. Knows nothing of HTTP.
"""

from functools import partial
from typing import BinaryIO

from anyio import CapacityLimiter, to_thread

from evoxtral.inference import transcribe
from evoxtral.inference.engines.protocol import TranscriptionEngine
from evoxtral.inference.transcript import Transcript


class Worker:
    """Transcribes recordings one after the other in a thread.

    Attributes:
        engine: what transcribes; used by one thread at a time.
    """

    def __init__(self, engine: TranscriptionEngine) -> None:
        self.engine = engine
        self._turn = CapacityLimiter(1)

    async def transcribe(self, file: BinaryIO, name: str) -> Transcript:
        """Transcribe an open file that its sender calls `name`.

        Raises:
            AudioError: the file cannot be decoded or holds nothing usable.
        """
        work = partial(transcribe, file, name=name, engine=self.engine)
        return await to_thread.run_sync(work, limiter=self._turn)
