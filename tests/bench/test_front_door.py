import importlib
import inspect

import evoxtral.bench


def test_every_name_that_the_room_offers_is_there_and_no_module_hides_it():
    for module in evoxtral.bench._EXPORTS.values():
        importlib.import_module(f"evoxtral.bench.{module}")
    for name in evoxtral.bench.__all__:
        assert not inspect.ismodule(getattr(evoxtral.bench, name)), name
