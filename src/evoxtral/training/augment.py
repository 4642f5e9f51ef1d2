"""Robustness: random changes of level, room, channel and background, made on the training device.

Works on batches of samples and knows nothing of texts. No change touches *when* something is said, so texts stay
true. Draws from torch's global generator of the device, whose state the trainer keeps with its checkpoints.
"""

from typing import Final

import torch

from evoxtral.audio import SAMPLE_RATE_HZ
from evoxtral.training.recipe import Augmentation

GAIN_DB: Final = (-20.0, 6.0)
SIGNAL_TO_NOISE_DB: Final = (3.0, 40.0)
NOISE_SLOPE: Final = (0.0, 1.0)  # amplitude falls as f ** -slope: 0 white, 0.5 pink, 1 brown
LOW_CUT_HZ: Final = (50.0, 400.0)
HIGH_CUT_HZ: Final = (2_500.0, 7_500.0)
REVERBERATION_S: Final = (0.08, 0.5)  # time to fall by 60 dB
REVERBERATION_DB: Final = (-24.0, -4.0)  # energy of the tail against the direct sound
_TAIL_S: Final = 0.5
_SILENT: Final = 1e-4  # samples below this do not count as signal when its level is measured


def augment(audio: torch.Tensor, settings: Augmentation) -> torch.Tensor:
    """Change each row of `audio`, float samples in [-1, 1] of shape (windows, n), with the given probabilities.

    The order is that of the world: the room, the background noise, the channel, the recording level. Rows keep
    their length. Rows that are drawn for no change come back as they were.
    """
    if settings.reverb:
        audio = torch.where(_chosen(audio, settings.reverb), _in_a_room(audio), audio)
    if settings.noise:
        audio = torch.where(_chosen(audio, settings.noise), _with_noise(audio), audio)
    if settings.band_limit:
        audio = torch.where(_chosen(audio, settings.band_limit), _band_limited(audio), audio)
    if settings.gain:
        gain = _factor(_uniform(audio, GAIN_DB))
        audio = torch.where(_chosen(audio, settings.gain), (audio * gain).clamp(-1, 1), audio)
    return audio


def _uniform(audio: torch.Tensor, limits: tuple[float, float]) -> torch.Tensor:
    """One value a row, shape (windows, 1)."""
    low, high = limits
    return low + (high - low) * torch.rand(audio.shape[0], 1, device=audio.device)


def _chosen(audio: torch.Tensor, probability: float) -> torch.Tensor:
    return _uniform(audio, (0.0, 1.0)) < probability


def _factor(decibels: torch.Tensor) -> torch.Tensor:
    return torch.pow(10.0, decibels / 20)


def _frequencies_hz(count: int, audio: torch.Tensor) -> torch.Tensor:
    frequencies: torch.Tensor = torch.fft.rfftfreq(count, 1 / SAMPLE_RATE_HZ, device=audio.device)
    return frequencies


def _with_noise(audio: torch.Tensor) -> torch.Tensor:
    count = audio.shape[1]
    slope = _uniform(audio, NOISE_SLOPE)
    frequencies = _frequencies_hz(count, audio).clamp(min=20.0)
    noise: torch.Tensor = torch.fft.irfft(torch.fft.rfft(torch.randn_like(audio)) * frequencies**-slope, count)
    noise = noise / noise.std(dim=1, keepdim=True).clamp(min=1e-9)
    heard = audio.abs() > _SILENT
    energy = (audio.square() * heard).sum(dim=1, keepdim=True) / heard.sum(dim=1, keepdim=True).clamp(min=1)
    return (audio + noise * energy.sqrt() * _factor(-_uniform(audio, SIGNAL_TO_NOISE_DB))).clamp(-1, 1)


def _band_limited(audio: torch.Tensor) -> torch.Tensor:
    count = audio.shape[1]
    frequencies = _frequencies_hz(count, audio)
    # Butterworth-like magnitudes of order 4, without phase.
    low = 1 / (1 + (_uniform(audio, LOW_CUT_HZ) / frequencies.clamp(min=1e-3)) ** 8).sqrt()
    high = 1 / (1 + (frequencies / _uniform(audio, HIGH_CUT_HZ)) ** 8).sqrt()
    limited: torch.Tensor = torch.fft.irfft(torch.fft.rfft(audio) * low * high, count)
    return limited


def _in_a_room(audio: torch.Tensor) -> torch.Tensor:
    tail = round(_TAIL_S * SAMPLE_RATE_HZ)
    seconds = torch.arange(tail, device=audio.device) / SAMPLE_RATE_HZ
    response = torch.randn(audio.shape[0], tail, device=audio.device)
    response = response * _factor(-60 * seconds / _uniform(audio, REVERBERATION_S))
    response[:, 0] = 0
    response = response / response.norm(dim=1, keepdim=True) * _factor(_uniform(audio, REVERBERATION_DB))
    response[:, 0] = 1
    length = audio.shape[1] + tail
    wet: torch.Tensor = torch.fft.irfft(torch.fft.rfft(audio, length) * torch.fft.rfft(response, length), length)
    return wet[:, : audio.shape[1]].clamp(-1, 1)
