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
from evoxtral.tags.taxonomy import CANONICAL, RELATED_EVENTS, TAG_TYPES, USES, Category, Frequency, TagType, Use, lookup

__all__ = [
    "CANONICAL",
    "RELATED_EVENTS",
    "TAG_TYPES",
    "USES",
    "Category",
    "Frequency",
    "Scope",
    "Tag",
    "TagType",
    "TaggedText",
    "Text",
    "Use",
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
