"""Decoded frames of any rate and layout to mono float32 at 16 kHz. Knows frames of PyAV, and no files."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evoxtral.audio.resampling import SAMPLE_RATE_HZ
from evoxtral.errors import AudioError

# What libswresample takes, and rates beyond all that records sound.
_MOST_CHANNELS = 64
_MOST_CHANNELS_FOLDED = 8
_LEAST_RATE_HZ, _MOST_RATE_HZ = 1_000, 1_536_000

# The two channels of a recording whose one microphone is wired the wrong way round cancel each other: where their
# difference holds so many times the energy of their sum, it is taken instead. Energies fade by this factor a second.
_OPPOSED_RATIO = 10.0
_FADING_PER_S = 0.2


class MonoMixer:
    """Turns decoded frames into mono at 16 kHz by libswresample, keeping its state from frame to frame.

    Args:
        name: of the recording, for messages.
        channel: the only one that is heard, counted from 0; None mixes all.
    """

    def __init__(self, name: str, channel: int | None = None) -> None:
        self._name = name
        self._channel = channel
        self._resampler: Any = None
        self._kind: tuple[Any, ...] | None = None
        self._sum_energy = self._difference_energy = 0.0

    def mix(self, frame: Any) -> Iterator[NDArray[np.float32]]:
        """The samples that a frame completes.

        Raises:
            AudioError: the frame's rate or number of channels is that of no recording.
        """
        kind = (frame.format.name, frame.layout.name, frame.sample_rate)
        if kind != self._kind:
            # A stream may change its rate or layout on the way (radio recordings do).
            yield from self.flush()
            check_kind(self._name, frame.layout.nb_channels, frame.sample_rate)
            from av import AudioResampler

            # Interleaved, because PyAV reads past the end of the frame's list of more than eight planes.
            self._resampler, self._kind = AudioResampler("flt", self._layout_of(frame), SAMPLE_RATE_HZ), kind
        frame.pts = None
        for out in self._resampler.resample(frame):
            yield self._to_mono(out)

    def flush(self) -> Iterator[NDArray[np.float32]]:
        """What the resampler still holds."""
        if self._resampler is not None:
            for out in self._resampler.resample(None):
                if out is not None:
                    yield self._to_mono(out)
        self._resampler = self._kind = None

    def _to_mono(self, frame: Any) -> NDArray[np.float32]:
        count = frame.layout.nb_channels
        channels: NDArray[np.float32] = frame.to_ndarray().reshape(-1, count).T  # (channels, samples)
        if self._channel is not None:
            # Where a recording has fewer channels for a while, this one is silent.
            missing: NDArray[np.float32] = np.zeros(channels.shape[1], np.float32)
            return channels[self._channel].copy() if self._channel < count else missing
        if count == 1:
            # A copy: the frame's memory is used again.
            only: NDArray[np.float32] = channels[0].copy()
            return only
        mono: NDArray[np.float32] = channels.mean(0, dtype=np.float32)
        if count > 2:
            return mono
        difference: NDArray[np.float32] = (channels[0] - channels[1]) * np.float32(0.5)
        kept = _FADING_PER_S ** (len(mono) / SAMPLE_RATE_HZ)
        self._sum_energy = kept * self._sum_energy + _energy(mono)
        self._difference_energy = kept * self._difference_energy + _energy(difference)
        return difference if self._difference_energy > _OPPOSED_RATIO * self._sum_energy else mono

    def _layout_of(self, frame: Any) -> Any:
        """What to have libswresample give.

        Its own way to mono makes float samples 3 dB louder, so one or two channels come out as they are and are
        averaged; more are folded into two first, with the centre in both, where it knows what each of them is.
        """
        channels = frame.layout.nb_channels
        if channels == 1:
            return "mono"
        return "stereo" if channels <= _MOST_CHANNELS_FOLDED and self._channel is None else frame.layout


def check_kind(name: str, channels: int, rate_hz: int) -> None:
    """Refuse what no recorder writes; only damaged or made-up headers declare it."""
    if not 1 <= channels <= _MOST_CHANNELS:
        raise AudioError(f"{name}: declares {channels} channels", f"at most {_MOST_CHANNELS} can be mixed")
    if not _LEAST_RATE_HZ <= rate_hz <= _MOST_RATE_HZ:
        raise AudioError(f"{name}: declares a sample rate of {rate_hz} Hz", "export the recording again")


def _energy(samples: NDArray[np.float32]) -> float:
    return float(np.dot(samples, samples))
