"""HTML pages from the templates beside this module. Knows templates, nothing of what they show."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from evoxtral.errors import ScoreError


def render_page(template: str, context: Mapping[str, Any]) -> str:
    """A page from one of the templates; values are escaped unless marked as safe there.

    Raises:
        ScoreError: jinja2 is not installed.
    """
    try:
        from jinja2 import Environment, FunctionLoader, StrictUndefined
    except ImportError as error:
        raise ScoreError("HTML pages need jinja2", "pip install 'evoxtral[bench]'") from error
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=FunctionLoader(lambda name: files("evoxtral.bench").joinpath("templates", name).read_text("utf-8")),
    )
    return environment.get_template(template).render(context)
