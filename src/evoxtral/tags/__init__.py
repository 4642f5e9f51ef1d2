"""The tag language: taxonomy, lossless parser and writer. Pure Python; knows nothing of audio, models or files."""

from evoxtral.tags.parser import (
    Scope,
    Tag,
    TaggedText,
    Text,
    Word,
    insert_tags,
    normalise_tags,
    parse,
    plain_text,
    render,
    strip_tags,
    tag_names,
)
from evoxtral.tags.taxonomy import CANONICAL, TAG_TYPES, Category, TagType, lookup

__all__ = [
    "CANONICAL",
    "TAG_TYPES",
    "Category",
    "Scope",
    "Tag",
    "TagType",
    "TaggedText",
    "Text",
    "Word",
    "insert_tags",
    "lookup",
    "normalise_tags",
    "parse",
    "plain_text",
    "render",
    "strip_tags",
    "tag_names",
]
