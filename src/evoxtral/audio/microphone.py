"""Sound from a microphone as it comes, by PortAudio (extra `microphone`). Knows devices; nothing of what hears it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from evoxtral.errors import AudioError

_PACKET_S = 0.05
# What speech needs, and what everything here takes.
_LEAST_RATE_HZ, _MOST_RATE_HZ = 16_000, 48_000
_OR_FILE = "or play a recording: evoxtral listen FILE"


@contextmanager
def open_microphone(on_sound: Callable[[bytes], None], device: str | None = None) -> Iterator[int]:
    """Record for as long as the block runs; gives the sample rate in Hz.

    Args:
        on_sound: given packets of 50 ms of 16-bit little-endian mono PCM, in a thread of PortAudio.
        device: number or part of the name of an input device; None for the system's.

    Raises:
        AudioError: there is no microphone, or nothing here that could read it.
    """
    sounddevice = _portaudio()
    chosen: int | str | None = int(device) if device is not None and device.isdecimal() else device
    try:
        about: Any = sounddevice.query_devices(chosen, "input")
        rate_hz = round(min(max(about["default_samplerate"], _LEAST_RATE_HZ), _MOST_RATE_HZ))

        def hear(data: Any, frames: int, time: Any, status: Any) -> None:
            on_sound(bytes(data))

        stream = sounddevice.RawInputStream(
            samplerate=rate_hz,
            blocksize=round(_PACKET_S * rate_hz),
            device=chosen,
            channels=1,
            dtype="int16",
            callback=hear,
        )
    except (sounddevice.PortAudioError, ValueError) as error:
        name = "no microphone" if device is None else f"microphone {device!r}"
        raise AudioError(f"{name}: cannot be opened: {error}", f"connect one, {_OR_FILE}") from error
    with stream:
        yield rate_hz


def _portaudio() -> Any:
    try:
        import sounddevice
    except ImportError as error:
        raise AudioError(
            "no microphone can be read: sounddevice is not installed",
            f"pip install 'evoxtral[microphone]', {_OR_FILE}",
        ) from error
    except OSError as error:  # its shared library is not part of its wheel on Linux
        raise AudioError(
            f"no microphone can be read: {error}", f"install PortAudio (Debian: apt install libportaudio2), {_OR_FILE}"
        ) from error
    return sounddevice
