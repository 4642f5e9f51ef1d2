"""What the server says of itself is true: schemathesis sends what the description allows, and what it does not.

Every address in the description is tried, with few and always the same examples. To search for longer:
`EVOXTRAL_API_EXAMPLES=200 pytest tests/server/test_openapi.py`, or against any running server
`schemathesis run http://127.0.0.1:8000/openapi.json`.
"""

import os
from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from evoxtral.server.app import create_app
from evoxtral.server.settings import Settings
from running_server import serve_app

EXAMPLES = int(os.environ.get("EVOXTRAL_API_EXAMPLES", "3"))
# These ask for more than a description says: that every header is checked before all else, and that whatever fits the
# description is taken: not every text is a language, nor every file a recording.
NOT_ASKED = {"positive_data_acceptance", "missing_required_header", "use_after_free", "ensure_resource_availability"}
load_all_checks()
ASKED = [check for check in CHECKS.get_all() if check.__name__ not in NOT_ASKED]


@pytest.fixture(scope="module")
def address(unchanging_engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("described")
    settings = Settings(studio=folder / "none", store=str(folder / "store"))
    with serve_app(create_app(settings, engine=unchanging_engine)) as served:
        yield served


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["allowed", "not allowed"])
def test_what_is_described_is_answered(address: str, mode: GenerationMode) -> None:
    described = schemathesis.openapi.from_url(f"{address}/openapi.json")
    faults: dict[str, str] = {}
    tried = []
    for found in described.get_all_operations():
        operation = found.ok()

        @settings(
            max_examples=EXAMPLES,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def answers(case: schemathesis.Case) -> None:
            case.call_and_validate(checks=ASKED)

        tried.append(operation.label)
        try:
            answers()
        except Unsatisfiable:
            pass  # there is nothing that it does not allow
        except (Exception, BaseExceptionGroup) as error:
            faults[operation.label] = str(error) + "".join(f"\n{part}" for part in getattr(error, "exceptions", ()))
    assert "POST /transcribe" in tried
    assert not faults, "\n\n".join(f"{label}: {fault}" for label, fault in faults.items())
