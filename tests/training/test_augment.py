import pytest
import torch

from evoxtral.training.augment import GAIN_DB, HIGH_CUT_HZ, SIGNAL_TO_NOISE_DB, augment
from evoxtral.training.recipe import Augmentation

RATE_HZ = 16_000


@pytest.fixture
def chirps() -> torch.Tensor:
    """40 rows of one second of white sound and one of silence."""
    torch.manual_seed(0)
    audio = torch.zeros(40, 2 * RATE_HZ)
    audio[:, :RATE_HZ] = 0.1 * torch.randn(40, RATE_HZ)
    return audio


def level_db(audio: torch.Tensor) -> torch.Tensor:
    return 20 * audio.square().mean(dim=1).sqrt().clamp(min=1e-9).log10()


def test_a_share_of_the_rows_is_changed_and_the_rest_is_not(chirps: torch.Tensor) -> None:
    changed = (augment(chirps, Augmentation(gain=0.5)) != chirps).any(dim=1)
    assert 8 < changed.sum() < 32
    assert torch.equal(augment(chirps, Augmentation()), chirps)


def test_gain_moves_the_level_within_its_range(chirps: torch.Tensor) -> None:
    gain_db = level_db(augment(chirps, Augmentation(gain=1))) - level_db(chirps)
    assert gain_db.min() > GAIN_DB[0] - 0.1
    assert gain_db.max() < GAIN_DB[1] + 0.1
    assert gain_db.std() > 3


def test_noise_has_the_drawn_ratio_to_the_sounding_part(chirps: torch.Tensor) -> None:
    noisy = augment(chirps, Augmentation(noise=1))
    ratio_db = level_db(chirps[:, :RATE_HZ]) - level_db(noisy[:, RATE_HZ:])
    # A stretch of the noise is not exactly as loud as all of it.
    assert ratio_db.min() > SIGNAL_TO_NOISE_DB[0] - 6
    assert ratio_db.max() < SIGNAL_TO_NOISE_DB[1] + 6
    assert ratio_db.std() > 5


def test_silence_gets_no_noise() -> None:
    assert not augment(torch.zeros(3, 1000), Augmentation(noise=1)).any()


def test_band_limit_takes_highs_and_leaves_the_middle(chirps: torch.Tensor) -> None:
    limited = augment(chirps, Augmentation(band_limit=1))
    frequencies = torch.fft.rfftfreq(chirps.shape[1], 1 / RATE_HZ)
    gain = torch.fft.rfft(limited).abs() / torch.fft.rfft(chirps).abs()
    middle = (frequencies > 900) & (frequencies < 1100)
    assert gain[:, middle].median(dim=1).values.min() > 0.9
    lowest = (frequencies > 1) & (frequencies < 10)
    assert gain[:, lowest].max() < 0.1
    highest = gain[:, frequencies > 7900].median(dim=1).values
    assert highest.min() < 0.05 < 0.5 < highest.max()
    assert HIGH_CUT_HZ[1] < RATE_HZ / 2


def test_a_room_adds_a_tail_that_dies_away(chirps: torch.Tensor) -> None:
    wet = augment(chirps, Augmentation(reverb=1))
    tail = wet[:, RATE_HZ:]
    early, late = level_db(tail[:, : RATE_HZ // 20]), level_db(tail[:, RATE_HZ // 2 :])
    assert (early > -60).all()
    assert (late < early - 10).all()
    # The direct sound stays in its place: nothing comes before it.
    shifted = torch.roll(chirps, RATE_HZ // 2, dims=1)
    assert augment(shifted, Augmentation(reverb=1))[:, : RATE_HZ // 2].abs().max() < 1e-4


def test_the_same_generator_state_gives_the_same_changes(chirps: torch.Tensor) -> None:
    everything = Augmentation(gain=0.5, noise=0.5, band_limit=0.5, reverb=0.5)
    torch.manual_seed(5)
    once = augment(chirps, everything)
    torch.manual_seed(5)
    assert torch.equal(augment(chirps, everything), once)
    assert once.isfinite().all()
    assert once.abs().max() <= 1
