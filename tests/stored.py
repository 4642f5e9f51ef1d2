"""What the tests of the store keep."""

import io

from evoxtral.inference.transcript import Transcript, TranscriptSegment
from evoxtral.server.store.files import Incoming
from evoxtral.server.store.opening import Store
from evoxtral.tags import plain_text

SOUND = b"a recording"


def transcript(text: str, duration_s: float = 2.0) -> Transcript:
    """A transcript of one segment, without times of words."""
    segment = TranscriptSegment(0.0, duration_s, text, plain_text(text))
    return Transcript("a.wav", "m", "e", "en", duration_s, text, plain_text(text), (segment,))


def incoming(store: Store, content: bytes = SOUND) -> Incoming:
    """A file that was received."""
    return store.files.receive(io.BytesIO(content), "audio/wav")


def job(store: Store, owner: str | None = None, name: str = "a.wav", max_open: int = 100) -> str:
    """Accept a job; gives its id."""
    return store.jobs.accept(owner, name, {"language": "en"}, incoming(store), max_open=max_open).id
