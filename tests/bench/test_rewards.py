import pytest

from evoxtral.bench.rewards import reward


def test_rewards_by_hand():
    assert reward("[sad] It rained.", "[sad] It rained.") == pytest.approx(1)
    assert reward("It rained.", "[sad] It rained.") == pytest.approx(0.5)
    assert reward("[sad] It rained here.", "[calm] It snowed here.") == pytest.approx(0.4 * 2 / 3 + 0.1)
    assert reward("[sad] It rained a lot.", "It rained a lot. [sad]") == pytest.approx(0.8)
    assert reward("It NEVER rained.", "it never rained") == pytest.approx(0.9)
    assert reward("It rained.", "the quick brown fox jumps over it") == pytest.approx(0.6)
    assert reward("[sad] It rained.", "") == pytest.approx(0.1)
