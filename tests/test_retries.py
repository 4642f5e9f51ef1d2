"""The retry policy: what is tried again, and that waits grow, whatever the numbers."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evoxtral.retries import RetryPolicy, is_transient, retry_after_s

POLICIES = st.builds(
    RetryPolicy,
    attempts=st.integers(1, 10),
    first_wait_s=st.floats(0.01, 10),
    max_wait_s=st.floats(10, 1000),
)


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 529, 599, None])
def test_what_may_pass_is_tried_again(status: int | None) -> None:
    assert is_transient(status)


@pytest.mark.parametrize("status", [200, 301, 400, 401, 402, 403, 404, 410, 413, 422, 451])
def test_what_stays_wrong_is_not(status: int) -> None:
    assert not is_transient(status)


@given(POLICIES, st.integers(1, 60))
def test_a_wait_lies_in_the_later_half_of_its_doubled_step_and_under_the_longest(
    policy: RetryPolicy, failures: int
) -> None:
    step_s = min(policy.max_wait_s, policy.first_wait_s * 2.0 ** (failures - 1))
    assert step_s / 2 <= policy.wait_s(failures) <= step_s


@given(POLICIES, st.integers(1, 8))
def test_two_failures_later_the_wait_is_longer_until_the_longest(policy: RetryPolicy, failures: int) -> None:
    # The longest wait of a step is the shortest of the next, so that no chance makes waits shrink.
    later_s = policy.wait_s(failures + 2)
    assert later_s > policy.wait_s(failures) or later_s >= policy.max_wait_s / 2


@given(st.floats(0, 1e6), st.integers(1, 20))
def test_the_server_decides_up_to_five_minutes(asked_s: float, failures: int) -> None:
    assert RetryPolicy().wait_s(failures, str(asked_s)) == min(asked_s, 300)


@pytest.mark.parametrize("header", [None, "", "soon", "-1", "nan"])
def test_what_asks_for_nothing_is_as_no_header(header: str | None) -> None:
    assert retry_after_s(header) is None


def test_a_date_is_waited_for_and_a_past_one_is_not() -> None:
    now = datetime.now(UTC)
    waited_s = retry_after_s(format_datetime(now + timedelta(seconds=100), usegmt=True))
    assert waited_s is not None
    assert 90 < waited_s <= 100
    assert retry_after_s(format_datetime(now - timedelta(days=1), usegmt=True)) == 0
