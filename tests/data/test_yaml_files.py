"""Strict YAML: what the ordinary loader would guess at, drop or trip over is told in one line."""

from pathlib import Path

import pytest
import yaml

from evoxtral.data.corpus_config import CorpusConfig
from evoxtral.data.corpus_folder import CorpusFolder
from evoxtral.data.yaml_files import parse_yaml, read_yaml
from evoxtral.errors import CorpusError, RecipeError


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n", r"line 5: the key c stands in line 3 already"),
        ("{a: 1, a: 2}", r"line 1: the key a stands in line 1 already"),
        ("language: no", r'line 1: no would be read as true or false: quote it \("no"\)'),
        ("x: [1, Yes]", r'quote it \("Yes"\)'),
        ("off: 1", r"quote it"),
        ("\nseed: 2026-99-99", r'line 2: 2026-99-99 would be read as a date: quote it \("2026-99-99"\)'),
        ("name: 2026-11-27", r"would be read as a date: quote it"),
        ("time: 1:30", r"quote it"),
        ("time: 1:30.5", r"quote it"),
        ("seed: " + "9" * 5_000, r"a number of 5,000 characters is too long"),
        ("seed: 0x" + "f" * 5_000, r"a number of 5,002 characters is too long"),
        ("rate: .inf", r"no finite number"),
        ("rate: 1.0e+999", r"no finite number"),
        ("a: " + "[" * 30_000 + "]" * 30_000, r"nested too deeply"),
        ("a: " + "[" * 60 + "]" * 60, r"nested too deeply"),
        ("a: &a [*a]", r"nested too deeply"),
        ("a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
            f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdefg", "bcdefgh", strict=True)
        ), r"more than 100,000 values"),
        ("a: 1\n b: 2", r"line 2: not YAML"),
        ("a: !!python/object:os.system {}", r"line 1: not YAML: could not determine a constructor"),
        ("a: 1\n---\nb: 2", r"line 2: not YAML"),
        ("a: \x07", r"is not YAML"),
        ("? [a]\n: 1", r"line 1: not YAML: found unhashable key"),
        ("- a", r"is no mapping"),
    ],
)  # fmt: skip
def test_what_yaml_would_guess_at_is_told_in_one_line(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "file.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=told) as error:
        read_yaml(path, RecipeError)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 500


def test_what_is_plain_is_read_as_by_the_ordinary_loader(tmp_path: Path) -> None:
    text = """
    language: "no"
    rate: 1.5
    small: 1e-4
    many: 123_456
    flag: true
    other: False
    nothing: null
    date: "2026-11-27"
    list: [a, {path: b, split: all}]
    base: &base {x: 1}
    more: {<<: *base, y: 2}
    """
    path = tmp_path / "file.yaml"
    path.write_text(text, "utf-8-sig")  # editors on Windows begin files with a byte order mark
    assert read_yaml(path, RecipeError) == yaml.safe_load(text)


def test_an_empty_file_holds_nothing_and_a_missing_or_foreign_one_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    assert read_yaml(tmp_path / "empty.yaml", CorpusError) == {}
    with pytest.raises(CorpusError, match=r"no file .*none\.yaml"):
        read_yaml(tmp_path / "none.yaml", CorpusError)
    (tmp_path / "binary.yaml").write_bytes(b"a: \xff\xfe")
    with pytest.raises(CorpusError, match=r"binary\.yaml is not UTF-8"):
        read_yaml(tmp_path / "binary.yaml", CorpusError)
    (tmp_path / "large.yaml").write_bytes(b"#" * 1_000_001)
    with pytest.raises(CorpusError, match=r"large\.yaml is too large"):
        read_yaml(tmp_path / "large.yaml", CorpusError)


def test_a_single_value_is_read_as_strictly() -> None:
    assert parse_yaml("[1, 2]", RecipeError, name="x") == [1, 2]
    with pytest.raises(RecipeError, match=r"^lora\.rank, line 1: no would be read"):
        parse_yaml("no", RecipeError, name="lora.rank")


def test_a_configuration_whose_texts_look_like_other_things_survives_its_file(tmp_path: Path) -> None:
    for name in ("no", "2026-11-27", "1:30", "007", "null", ".inf"):
        CorpusFolder(tmp_path).write_config(CorpusConfig(name=name))
        assert CorpusFolder(tmp_path).read_config().name == name


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("scripts: {count: 5}\nscripts: {seed: 1}", "line 2: the key scripts stands in line 1 already"),
        ("name: no", "quote it"),
        ("scripts: {count: many}", "scripts.count: "),
        ("nonsense: 1", "nonsense: "),
    ],
)
def test_a_corpus_says_what_is_wrong_with_its_configuration(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "corpus.yaml").write_text(text)
    with pytest.raises(CorpusError, match=told) as error:
        CorpusFolder(tmp_path).read_config()
    assert "corpus.yaml" in str(error.value)
