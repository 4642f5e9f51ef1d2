"""Send a recording to a server as if it were spoken now, and print what is heard: `python examples/live_client.py`.

Start the server first, with `evoxtral serve`.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evoxtral.audio import SAMPLE_RATE_HZ, load_audio
from evoxtral.client import Client, EndOfTurnLikely, Final, Partial, TurnResumed

PACKET_S = 0.05


async def spoken(path: Path) -> AsyncIterator[NDArray[np.float32]]:
    """The recording in packets, each when its last sample would have been spoken."""
    sound = load_audio(path)
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    step = round(PACKET_S * SAMPLE_RATE_HZ)
    for start in range(0, len(sound), step):
        packet = sound[start : start + step]
        await asyncio.sleep(began_s + (start + len(packet)) / SAMPLE_RATE_HZ - loop.time())
        yield packet


async def main(path: Path, address: str) -> None:
    async with Client(address) as client:
        async for event in client.transcribe_live(spoken(path), sample_rate_hz=SAMPLE_RATE_HZ, diarize=True):
            match event:
                case Partial():
                    print(f"  {event.committed} ({event.tentative})")
                case EndOfTurnLikely():
                    print("  ... finished?")
                case TurnResumed():
                    print("  ... no, it goes on")
                case Final():
                    print(f"{event.start_s:6.1f} s  {event.speaker}: {event.text}")


if __name__ == "__main__":
    recording = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "reading.opus"
    asyncio.run(main(recording, sys.argv[2] if len(sys.argv) > 2 else "http://127.0.0.1:8000"))
