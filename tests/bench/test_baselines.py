import pytest

from evoxtral.bench.baselines import TextTagger, at_sentence_starts, baseline_hypotheses, most_frequent_tag
from evoxtral.bench.scoring import score
from evoxtral.tags import tag_names

# In these texts the words tell the tags: "funny" is laughed at, "quiet" is whispered.
TELLING = [
    text
    for noun in ("dog", "cat", "boss", "train", "story", "movie", "neighbour", "lesson", "garden", "party")
    for text in (
        f"The {noun} is so funny. [laughs] I know.",
        f"[whispers] Keep quiet about the {noun}. I know.",
        f"The {noun} is here. I know.",
    )
]


def test_the_most_frequent_tag():
    assert most_frequent_tag(["[sad] a [pause]", "[giggles] b", "[laughs] [sings] [sings] [sings]"]) == "laughs"
    assert most_frequent_tag(["[sad] a [angry]"]) == "angry"  # first in the alphabet among equals
    assert most_frequent_tag(["plain", "[sings]"]) is None


@pytest.mark.parametrize(
    ("text", "tagged"),
    [
        ("One two. Three? Four", "[sad] One two. [sad] Three? [sad] Four"),
        ("Mr. Smith left... alone", "[sad] Mr. Smith left... alone"),
        ("", ""),
        ("...", "..."),
    ],
)
def test_it_goes_before_each_sentence(text, tagged):
    assert at_sentence_starts(text, "sad") == tagged


def test_the_text_only_tagger_learns_what_words_tell():
    tagger = TextTagger(TELLING)
    assert tagger.tag("The teacher is so funny. I know.") == "The teacher is so funny. [laughs] I know."
    assert tagger.tag("Keep quiet about the teacher. I know.") == "[whispers] Keep quiet about the teacher. I know."
    assert tag_names(tagger.tag("The teacher is here. I know.")) == []


def test_baselines_see_the_words_of_the_references_only():
    made, notes = baseline_hypotheses(["[sad] The TEACHER is so funny. [shouts] I know."], TELLING)
    assert notes == []
    assert made == {
        "no_tags": ["The teacher is so funny. I know."],
        "most_frequent_tag": ["[laughs] The teacher is so funny. [laughs] I know."],
        "text_only": ["The teacher is so funny. [laughs] I know."],
    }


def test_baselines_stand_in_the_report():
    references = {str(index): text for index, text in enumerate(TELLING)}
    baselines = score(references, references, resamples=10, baseline_texts=TELLING).to_json()["baselines"]
    assert baselines["no_tags"]["tags"]["f1"]["value"] == 0
    assert baselines["most_frequent_tag"]["hallucination"]["per_100_words_plain"]["value"] == pytest.approx(100 * 2 / 6)
    assert baselines["text_only"]["tags"]["f1"]["value"] == 1
    assert "wer" not in baselines["text_only"]


def test_training_texts_without_tags_leave_one_baseline_and_say_so():
    made, notes = baseline_hypotheses(["[sad] a"], ["plain"])
    assert list(made) == ["no_tags"]
    assert "no known tag" in notes[0]
