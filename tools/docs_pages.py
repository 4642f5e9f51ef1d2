"""Pages of the site that are made from the code: recipe, corpus configuration, tags, settings. A hook of MkDocs.

A field's meaning is read where the code has it (docstrings of classes and fields), so that a page and
the code cannot differ.
"""

import types
from collections.abc import Iterator
from typing import Any, Literal, Union, get_args, get_origin

from griffe import Docstring, DocstringSectionKind, load
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

from evoxtral.data.corpus_config import CorpusConfig
from evoxtral.markdown import table
from evoxtral.server.settings import STUDIO_FOLDER
from evoxtral.server.settings import Settings as ServerSettings
from evoxtral.settings import Settings
from evoxtral.tags import TAG_TYPES
from evoxtral.training.recipe import Recipe


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    for name, content in pages().items():
        files.append(File.generated(config, name, content=content))
    return files


def pages() -> dict[str, str]:
    """Content by file name."""
    return {
        "recipe.md": _models_page(
            "Recipe reference",
            "What `evoxtral train RECIPE.yaml` takes. Of the command line, `NAME=VALUE` changes a field "
            "(`optimisation.max_steps=10`).",
            Recipe,
        ),
        "corpus-yaml.md": _models_page(
            "corpus.yaml", "What a corpus folder remembers; the options of the corpus commands change it.", CorpusConfig
        ),
        "settings.md": "# Settings\n\nEnvironment variables. One that is empty counts as not set; keys are never "
        "printed or logged.\n\n"
        + _settings_table(Settings)
        + "\n\n## Of `evoxtral serve`\n\nIts options come before them.\n\n"
        + _settings_table(ServerSettings),
        "tag-table.md": "# All tags and their aliases\n\nEach alias is understood wherever its tag is.\n\n"
        + table(
            ("tag", "category", "group", "aliases"),
            [(f"`[{tag.name}]`", str(tag.category), tag.group, ", ".join(tag.aliases)) for tag in TAG_TYPES],
        ),
    }


def _settings_table(settings: type[BaseSettings]) -> str:
    """What each variable is for, by the docstrings under the fields."""
    described = load(settings.__module__)[settings.__name__].members
    prefix = settings.model_config["env_prefix"]
    rows = [
        (
            f"`{field.validation_alias or prefix + name.upper()}`",
            _default(field),
            " ".join(described[name].docstring.value.split()),
        )
        for name, field in settings.model_fields.items()
    ]
    return table(("variable", "default", "what for"), rows)


def _models_page(title: str, introduction: str, model: type[BaseModel]) -> str:
    parts = [f"# {title}\n\n{introduction}\n"]
    for path, section in _sections(model):
        docstring = Docstring(section.__doc__ or "").parse("google")
        text = next((str(part.value) for part in docstring if part.kind is DocstringSectionKind.text), "")
        # A line such as "model, base_url: ..." is of both fields.
        meaning = {
            name.strip(): " ".join(attribute.description.split())
            for part in docstring
            if part.kind is DocstringSectionKind.attributes
            for attribute in part.value
            for name in attribute.name.split(",")
        }
        heading = f"## `{path}`" if path else "## The file"
        rows = [
            (f"`{name}`", _type_name(field), _default(field), meaning.get(name, field.description or ""))
            for name, field in section.model_fields.items()
        ]
        parts.append(f"{heading}\n\n{text}\n\n{table(('field', 'type', 'default', 'meaning'), rows)}")
    return "\n\n".join(parts)


def _sections(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """The model and those inside it, each once, by the path of the first field that holds it."""
    seen: set[type[BaseModel]] = set()

    def walk(model: type[BaseModel], path: str) -> Iterator[tuple[str, type[BaseModel]]]:
        if model in seen:
            return
        seen.add(model)
        yield path, model
        for name, field in model.model_fields.items():
            for inner in _models_in(field.annotation):
                yield from walk(inner, f"{path}.{name}" if path else name)

    return walk(model, path)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _type_name(field: FieldInfo) -> str:
    limits = [
        f"{sign} {value:g}"
        for item in field.metadata
        for name, sign in (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<"))
        if (value := getattr(item, name, None)) is not None
    ]
    return " ".join([_name_of(field.annotation), *limits])


def _name_of(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(_name_of(argument) for argument in arguments if argument is not type(None))
    if origin in (tuple, list):
        return f"list of {_name_of(arguments[0])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "section"
    names = {"str": "text", "int": "whole number", "float": "number", "bool": "true or false", "Path": "path"}
    if origin is not None and not isinstance(origin, type):
        return _name_of(arguments[0])
    return names.get(getattr(annotation, "__name__", ""), "mapping" if origin is dict else str(annotation))


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**needed**"
    value = field.default
    if value is PydanticUndefined or isinstance(value, BaseModel) or value in (None, (), STUDIO_FOLDER):
        return ""
    return f"`{value}`"
