import pytest

from evoxtral.tags.emphasis import is_emphasised, without_emphasis


@pytest.mark.parametrize(
    "word",
    [
        *(
            "BELIEVE",
            "NO!",
            "DON'T",
            "“NEVER”",
            "SO-CALLED",
            "W-WHAT",
            "SHHH",
            "IT",
            "(REALLY?)",
            "I'M",
            "ÜBER",
            "*ME*",
        ),
        *("RE-ally", "un-BE-lievable", "w-w-WHAT", "well-KNOWN,", "O'NEIL", "НЕТ"),
    ],
)
def test_capitals_stress(word):
    assert is_emphasised(word)


@pytest.mark.parametrize(
    "word",
    [
        *("I", "A", "I-I", "believe", "Believe", "iPhone", "McDONALD", "1", "3PM", "COVID-19", "U.S.", "...", "—"),
        *("NASA", "OK", "OK?", "TV,", "BBC", "GPS", "NASA's", "NASA'S", "(FBI)", "TV-MA", "R&B", "AC/DC"),
        *("WWII", "IBM", "NSA", "pro-EU", "T-shirt", "X-ray", "TV-show", "CD-ROM", "McDONALD-Smith", "RE-2", "-"),
        *("[INST]", "<PAD>", "MAX_SIZE", "#NO", "日本", ""),
    ],
)
def test_acronyms_and_marks_do_not_stress(word):
    assert not is_emphasised(word)


def test_am_is_a_time_after_a_number_only():
    assert not is_emphasised("AM.", previous="9")
    assert is_emphasised("AM", previous="I")


@pytest.mark.parametrize(
    ("word", "starts_sentence", "plain"),
    [
        ("BELIEVE", False, "believe"),
        ("BELIEVE", True, "Believe"),
        ("“NO!”", True, "“No!”"),
        ("I'LL", False, "I'll"),
        ("I-I-I'M", False, "I-I-I'm"),
        ("W-WHAT?", True, "W-what?"),
        ("ÉTÉ", True, "Été"),
        ("RE-ally", False, "re-ally"),
        ("Jean-LUC", False, "Jean-luc"),
        ("w-WHAT", True, "W-what"),
    ],
)
def test_without_emphasis(word, starts_sentence, plain):
    assert without_emphasis(word, starts_sentence=starts_sentence) == plain
