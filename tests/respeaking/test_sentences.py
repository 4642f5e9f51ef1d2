from hypothesis import given
from hypothesis import strategies as st

from evoxtral.inference.transcript import Transcript, TranscriptTag, TranscriptWord
from evoxtral.respeaking.sentences import cut_sentences
from evoxtral.tags import parse


def transcript(text, words=(), tags=()):
    return Transcript("a.wav", "edge", "ctranslate2", "en", 60.0, text, "", words=tuple(words), tags=tuple(tags))


def texts(text):
    return [sentence.text for sentence in cut_sentences(transcript(text))]


def test_tags_between_two_sentences_belong_to_the_second():
    assert texts("[sad] We lost. [sighs] [angry] And you? Dr. Ames laughed... [laughs]") == [
        "[sad] We lost.",
        "[sighs] [angry] And you?",
        "Dr. Ames laughed... [laughs]",
    ]


def test_nothing_but_sounds_is_one_sentence_and_nothing_is_none():
    assert texts("[laughs] [sighs]") == ["[laughs] [sighs]"]
    assert texts("") == []


def test_a_sentence_in_capitals_keeps_its_stress_with_a_neighbour():
    """Alone it would be a text all in capitals, in which nothing is stressed."""
    assert texts("I said no. STOP IT NOW! Please.") == ["I said no.", "STOP IT NOW! Please."]
    assert texts("I said no. Never. STOP IT NOW!") == ["I said no.", "Never. STOP IT NOW!"]


def test_a_text_without_full_stops_is_cut_at_clauses_and_keeps_its_delivery():
    clause = "and then we went on and on along the endless road to the sea, "
    pieces = texts("[whispers] [sad] " + clause * 40)
    assert len(pieces) > 2
    assert all(len(piece) < 850 for piece in pieces)
    assert all(piece.startswith("[whispers] [sad] and then") for piece in pieces)
    assert all(piece.endswith(",") for piece in pieces)


def test_times_are_those_of_words_and_sounds():
    words = [TranscriptWord("Oh.", 1.0, 1.3), TranscriptWord("I", 4.0, 4.1), TranscriptWord("see.", None, None)]
    tags = [
        TranscriptTag("laughs", "non-verbal", "laughter", True, 1, 2.0, 3.0),
        TranscriptTag("sad", "emotion", "sadness", True, 1, 0.5, 0.6),  # a scope says nothing new
        TranscriptTag("sighs", "non-verbal", "breath", True, 3, 5.0, 5.5),
    ]
    first, second = cut_sentences(transcript("Oh. [laughs] [sad] I see. [sighs]", words, tags))
    assert (first.start_s, first.end_s) == (1.0, 1.3)
    assert (second.start_s, second.end_s) == (2.0, 5.5)


def test_a_text_that_was_changed_has_no_times():
    words = [TranscriptWord("Oh.", 1.0, 1.3)]
    assert [sentence.start_s for sentence in cut_sentences(transcript("Oh. Well.", words))] == [None, None]


def colours(text):
    """For each word: its letters, whether it is stressed, its emotion and its delivery; and the sounds before each."""
    parsed = parse(text)
    held = [[word.text, word.emphasis, "", ""] for word in parsed.words]
    for scope in parsed.scopes:
        tag = parsed.tags[scope.tag]
        for word in held[scope.first_word : scope.last_word]:
            word[2 if tag.category == "emotion" else 3] = tag.name
    return held, [(tag.gap, tag.name) for tag in parsed.tags if tag.category == "non-verbal"]


PIECES = st.sampled_from(
    [
        *("[sad]", "[whispers]", "[laughs]", "[angry]", "[pause]", "STOP", "STOP!", "now", "well...", "NASA.", "I"),
        *("Yes?", "no,", "\n\n", "—", "(", "Mr.", "5.", "[odd one]", "GO", "word " * 200),
    ]
)


@given(st.lists(PIECES, max_size=14))
def test_each_word_is_spoken_as_in_the_whole_text(pieces):
    text = " ".join(pieces)
    words, sounds, before = [], [], 0
    for sentence in texts(text):
        held, heard = colours(sentence)
        words += held
        sounds += [(before + gap, name) for gap, name in heard]
        before += len(held)
    assert (words, sounds) == colours(text)
