from evoxtral.bench.comparing import compare
from evoxtral.bench.scoring import score
from evoxtral.bench.summary import comparison_table, describe_system, markdown_summary
from evoxtral.data.records import Prediction

TEXTS = {
    "one": ("[excited] We WON it! [laughs]", "[excited] We WON it! [laughs]"),
    "two": ("[sad] Nobody came today.", "[angry] Nobody game today."),
    "three": ("Simple words.", "Simple words [sighs]"),
    "four": ("[whispers] Quiet now.", ""),
}


def rows(table: str) -> dict[str, list[str]]:
    lines = [line.split(" | ") for line in table.splitlines() if line.startswith("|")]
    return {
        line[0].removeprefix("| ").strip(): [cell.removesuffix(" |").strip() for cell in line[1:]] for line in lines
    }


def test_a_comparison_as_a_table():
    references = {id: said for id, (said, _) in TEXTS.items()}
    table = comparison_table(compare(references, {"ours": {i: h for i, (_, h) in TEXTS.items()}, "truth": references}))
    ours, truth, difference, p = rows(table)["Tag F1"]
    assert ours.startswith("0.50")  # 2 of 4 said, 4 written: excited and laughs
    assert truth.startswith("1.00")
    assert difference.startswith("0.50")
    assert 0 < float(p) < 0.5


def test_raw_errors_stand_beside_normalised_ones_and_what_is_unknown_is_a_dash():
    report = score({"a": "One, two three."}, {"a": "one two three"})
    found = rows(markdown_summary(report, describe_system([Prediction(id="a", text="")])))
    assert found["WER, normalised"] == ["0.0 %"]
    assert found["WER, raw"] == ["66.7 %"]  # a capital and a comma, a full stop
    assert found["Emphasis F1"] == found["Tag F1"] == ["–"]


def test_what_predictions_say_opens_no_markup():
    report = score({"a": "[sad] One."}, {"a": "[sad] One."})
    names = ["<img src=x>", "a | b", "two\nlines", "[link](http://x)", "**bold**"]
    for name in names:
        summary = markdown_summary(report, describe_system([Prediction(id="a", text="", model=name)]))
        head = summary.splitlines()[0]
        assert head.count(" | ") == 1, name
        assert not any(mark in head.replace(f"\\{mark}", "") for mark in "<*["), name
        assert rows(summary)["WER, raw"] == ["0.0 %"], name
        compared = comparison_table(compare({"a": "x"}, {"first": {"a": "x"}, name: {"a": "x"}}))
        assert len(rows(compared)["WER, raw"]) == 4, name
