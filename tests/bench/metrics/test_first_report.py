from evoxtral.bench.metrics.first_report import legacy_emphasis_f1, legacy_false_tags, legacy_tag_f1
from evoxtral.tags import parse


def test_tag_f1():
    f1 = legacy_tag_f1
    assert f1(parse("[sad] a [laughs] b [laughs]"), parse("[laughs] a b")) == 2 * 1 / (3 + 1)
    assert f1(parse("[laughs] a"), parse("[giggles] a")) == 0  # no aliases then
    assert f1(parse("a"), parse("b")) == 1


def test_emphasis_f1():
    f1 = legacy_emphasis_f1
    assert f1(parse("NO, the TV I SAW"), parse("NO, the TV I saw")) == 2 * 2 / (3 + 2)  # acronyms counted
    assert f1(parse("GET OUT"), parse("GET OUT")) == 1
    assert f1(parse("a"), parse("A b")) == 1


def test_false_tags():
    assert legacy_false_tags(parse("[sad] a"), parse("[sad] a [sad] b [laughs]")) == (1, 3)
