"""Which key is used, what limits it learns, and what a refusal means: worked out by hand."""

import pytest

from evoxtral.tts.elevenlabs.answers import judge
from evoxtral.tts.paid.answers import Refusal, Trouble
from evoxtral.tts.paid.keys import Key, KeyRing

CROWDED = {"detail": {"status": "too_many_concurrent_requests", "message": "slow down"}}


@pytest.fixture
def ring() -> KeyRing:
    return KeyRing("ElevenLabs", "ELEVENLABS_API_KEY", ["secret-a", "secret-b"])


def in_use(ring: KeyRing, limit: int, under_way: int) -> Key:
    key = ring.keys[0]
    key.limit, key.in_use = limit, under_way
    return key


def test_too_many_requests_without_a_maximum_lower_the_limit_below_what_was_under_way(ring: KeyRing) -> None:
    key = in_use(ring, limit=6, under_way=5)
    ring.slow_down(key, judge(429, CROWDED, {}))
    assert (key.limit, key.refusals) == (4, 1)
    key.in_use = 1
    ring.slow_down(key, judge(429, CROWDED, {}))
    assert (key.limit, key.refusals) == (1, 2)


def test_a_maximum_that_is_told_counts_and_a_busy_service_lowers_nothing(ring: KeyRing) -> None:
    key = in_use(ring, limit=6, under_way=5)
    ring.slow_down(key, judge(429, CROWDED, {"Maximum-Concurrent-Requests": "3"}))
    assert key.limit == 3
    ring.slow_down(key, judge(429, {"detail": {"status": "system_busy"}}, {}))
    assert key.limit == 3


def test_what_others_use_of_the_account_is_left_to_them(ring: KeyRing) -> None:
    key = in_use(ring, limit=2, under_way=2)
    ring.learn(key, maximum=10, others=6 - 2)
    assert key.limit == 6
    ring.learn(key, maximum=10, others=-1)  # the service counts later than we do
    assert key.limit == 10


def test_the_free_key_that_rested_longest_is_taken(ring: KeyRing) -> None:
    first, second = ring.keys
    assert [ring.take() for _ in range(4)] == [first, second, first, second]
    assert ring.take() is None
    second.in_use = 1
    assert ring.take() is second
    first.in_use, first.resting = 0, 1
    assert ring.take() is None


def test_a_key_set_aside_is_not_taken_and_the_reasons_are_told(ring: KeyRing) -> None:
    ring.set_aside(ring.keys[0], "quota_exceeded")
    assert ring.take() is ring.keys[1]
    assert ring.concurrency == 2
    ring.set_aside(ring.keys[1], "invalid_api_key")
    assert ring.concurrency == 1
    assert "key 1 of 2: quota_exceeded; key 2 of 2: invalid_api_key" in ring.none_left().message


@pytest.mark.parametrize(
    ("code", "body", "trouble"),
    [
        (401, {"detail": {"status": "invalid_api_key"}}, Trouble.KEY),
        (400, {"detail": {"status": "quota_exceeded"}}, Trouble.KEY),
        (404, {}, Trouble.VOICE),
        (400, {"detail": {"status": "voice_not_found"}}, Trouble.VOICE),
        (429, CROWDED, Trouble.BUSY),
        (409, {}, Trouble.PASSING),
        (425, {}, Trouble.PASSING),
        (500, "oops", Trouble.PASSING),
        (None, None, Trouble.PASSING),
        (400, {"detail": "bad text"}, Trouble.TEXT),
        (422, {}, Trouble.TEXT),
    ],
)
def test_a_refusal_is_about_one_thing(code: int | None, body: object, trouble: Trouble) -> None:
    assert judge(code, body, None).trouble is trouble


def test_a_refusal_tells_its_reason_and_how_long_to_wait() -> None:
    assert judge(429, CROWDED, {"Retry-After": "7"}) == Refusal(
        Trouble.BUSY, "too_many_concurrent_requests: slow down", 7.0, None, True
    )
