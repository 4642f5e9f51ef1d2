import { NodeSelection, TextSelection } from "prosemirror-state";
import { describe, expect, it } from "vitest";
import {
  deleteTagBefore,
  joinSegments,
  mergeSpeakers,
  newSpeaker,
  renameSpeaker,
  replacePassage,
  setSpeaker,
  splitSegment,
} from "@/lib/editor/commands";
import { inlineOf, segmentsOf, speakerLabel, speakerNamesOf, speakersOf } from "@/lib/editor/document";
import { TranscriptEditor } from "@/lib/editor/editor";
import { findMatches, findOf, replaceAll, replaceMatch, setSearch, stepMatch } from "@/lib/editor/find";
import { insertTag, matchTags, paletteOf } from "@/lib/editor/palette";
import { takeReading } from "@/lib/editor/reading";
import { sample, VOCABULARY } from "@/lib/editor/sample";
import { schema } from "@/lib/editor/schema";
import { scopesOf, timeAt, timedTags, wordAt, wordsOf } from "@/lib/editor/words";

const open = (...lines: string[]) =>
  new TranscriptEditor(sample(...lines), {}, { vocabulary: () => VOCABULARY, onSeek: () => {}, onSpeaker: () => {} });
const texts = (editor: TranscriptEditor) => segmentsOf(editor.state.doc).map(({ text }) => text);
const timed = (editor: TranscriptEditor) =>
  wordsOf(editor.state).map(({ from, to, startS }) => `${editor.state.doc.textBetween(from, to)}@${startS}`);
/** Put the caret before the first occurrence of `before`; "" is the end. */
const caret = (editor: TranscriptEditor, before: string) => {
  const end = editor.state.doc.content.size - 1;
  const at = before ? (findMatches(editor.state.doc, { text: before, matchCase: true })[0]?.from ?? end) : end;
  editor.dispatch(editor.state.tr.setSelection(TextSelection.create(editor.state.doc, at)));
};
const type = (editor: TranscriptEditor, text: string) => editor.dispatch(editor.state.tr.insertText(text));

describe("a document", () => {
  it("says what the transcript says, whatever is in it", () => {
    const lines = ["[excited] It WORKS! [rings a bell]", "", "😀 [laughs] Hi", "SPEAKER_1: So [pause]"];
    const editor = open(...lines);
    expect(texts(editor)).toEqual(["[excited] It WORKS! [rings a bell]", "", "😀 [laughs] Hi", "So [pause]"]);
    expect(segmentsOf(editor.state.doc)[3]).toMatchObject({ speaker: "SPEAKER_1", start_s: 4, end_s: 5 });
    expect(timed(editor)).toEqual(["It@0", "WORKS!@1", "😀@2", "Hi@3", "So@4"]);
  });

  it("can be empty", () => {
    expect(texts(open())).toEqual([]);
  });
});

describe("editing", () => {
  it("keeps the times of the words around", () => {
    const editor = open("one two three");
    caret(editor, "two");
    type(editor, "and ");
    expect(texts(editor)).toEqual(["one and two three"]);
    expect(timed(editor)).toEqual(["one@0", "two@1", "three@2"]);
  });

  it("undoes and redoes", () => {
    const editor = open("one two");
    expect(editor.canUndo).toBe(false);
    caret(editor, "two");
    type(editor, "three ");
    editor.undo();
    expect(texts(editor)).toEqual(["one two"]);
    expect(editor.canRedo).toBe(true);
    editor.redo();
    expect(texts(editor)).toEqual(["one three two"]);
  });

  it("deletes a tag as one, with the space that would be left over", () => {
    const editor = open("Hi [laughs] you");
    caret(editor, " you");
    deleteTagBefore(editor.state, editor.dispatch);
    expect(texts(editor)).toEqual(["Hi you"]);
    editor.undo();
    const from = findMatches(editor.state.doc, { text: "Hi ", matchCase: true })[0]?.to ?? 0;
    for (const selection of [NodeSelection, TextSelection]) {
      editor.dispatch(editor.state.tr.setSelection(selection.create(editor.state.doc, from, from + 1)));
      deleteTagBefore(editor.state, editor.dispatch);
      expect(texts(editor)).toEqual(["Hi you"]);
      editor.undo();
    }
  });

  it("leaves one space where tags were taken out, whatever took them out", () => {
    const first = 4; // a tag is one position, whatever its name
    for (const [line, from, to, left] of [
      ["Hi [laughs] you", first, first + 1, "Hi you"],
      ["Hi [laughs] [sad] you", first, first + 3, "Hi you"],
      ["Hi [laughs] you", first, first + 2, "Hi you"], // with a space already
      ["Hi [laughs]you", first, first + 1, "Hi you"],
      ["Hi [laughs], you", first, first + 1, "Hi , you"],
      ["Hi [laughs] you", 1, first + 1, "you"],
      ["[laughs] you", 1, 2, "you"],
      ["you [laughs]", 5, 6, "you "],
      ["you  there", 2, 3, "yu  there"], // no tag: none of its business
    ] as const) {
      const editor = open(line);
      editor.dispatch(editor.state.tr.delete(from, to)); // as the browser does it
      expect(texts(editor)).toEqual([left]);
      editor.undo();
      expect(texts(editor)).toEqual([line]);
      editor.redo();
      expect(texts(editor)).toEqual([left]);
    }
  });

  it("leaves the spaces around a tag that something takes the place of", () => {
    const editor = open("Hi [laughs] you");
    editor.dispatch(editor.state.tr.replaceWith(4, 5, schema.text(" or ")));
    expect(texts(editor)).toEqual(["Hi  or  you"]);
  });

  it("takes tags out of several segments at once", () => {
    const editor = open("one [sad] two", "three [laughs] four");
    editor.dispatch(editor.state.tr.delete(18, 19).delete(5, 6));
    expect(texts(editor)).toEqual(["one two", "three four"]);
    expect(timed(editor)).toEqual(["one@0", "two@1", "three@2", "four@3"]);
    editor.dispatch(editor.state.tr.delete(0, editor.state.doc.child(0).nodeSize)); // a whole segment
    expect(texts(editor)).toEqual(["three four"]);
  });

  it("cuts a segment at the time of the next word, and joins it again", () => {
    const editor = open("A: one two three", "B: four");
    caret(editor, "two");
    splitSegment(editor.state, editor.dispatch);
    expect(segmentsOf(editor.state.doc)).toEqual([
      { start_s: 0, end_s: 1, speaker: "A", text: "one " },
      { start_s: 1, end_s: 3, speaker: "A", text: "two three" },
      { start_s: 3, end_s: 4, speaker: "B", text: "four" },
    ]);
    caret(editor, "four");
    joinSegments(editor.state, editor.dispatch);
    expect(segmentsOf(editor.state.doc)[1]).toEqual({ start_s: 1, end_s: 4, speaker: "A", text: "two three four" });
    editor.undo();
    editor.undo();
    expect(texts(editor)).toEqual(["one two three", "four"]);
  });

  it("does not cut where no time is known", () => {
    const editor = open("one two");
    caret(editor, "");
    type(editor, " three four");
    caret(editor, "four");
    splitSegment(editor.state, editor.dispatch);
    expect(texts(editor)).toEqual(["one two three four"]);
  });
});

describe("the server's reading", () => {
  const written = "one [laughs] TWO";

  it("makes tags of what it reads as tags, and gives the new words their places", () => {
    const editor = open("one two");
    caret(editor, "two");
    editor.dispatch(editor.state.tr.insertText("[laughs] TWO", editor.state.selection.from, 8));
    expect(texts(editor)).toEqual([written]);
    editor.dispatch(takeReading(editor.state, sample(written)));
    expect(editor.state.doc.child(0).childCount).toBe(3);
    expect(timed(editor)).toEqual(["one@0", "TWO@1"]);
    expect(wordsOf(editor.state).map(({ emphasis }) => emphasis)).toEqual([false, true]);
    editor.undo();
    expect(texts(editor)).toEqual(["one two"]);
  });

  it("makes text of what it does not read as a tag, and keeps the caret", () => {
    const editor = open("one [sad] two");
    caret(editor, "");
    const reading = sample("one [sad] two");
    editor.dispatch(takeReading(editor.state, { ...reading, tags: [] }));
    expect(editor.state.doc.child(0).childCount).toBe(1);
    expect(texts(editor)).toEqual(["one [sad] two"]);
    expect(editor.state.selection.from).toBe(editor.state.doc.content.size - 1);
  });

  it("is left alone when somebody typed on", () => {
    const editor = open("one two");
    type(editor, "x");
    expect(takeReading(editor.state, sample("one two"))).toBeNull();
  });
});

describe("words", () => {
  it("are found by their time, until the next begins", () => {
    const { state } = open("one two three");
    expect([-1, 0, 0.9, 1, 99].map((seconds) => wordAt(wordsOf(state), seconds))).toEqual([-1, 0, 0, 1, 2]);
  });

  it("give the time of a place, a new word that of the next", () => {
    const editor = open("one two");
    caret(editor, "two");
    type(editor, "new ");
    caret(editor, "new");
    expect(timeAt(editor.state, editor.state.selection.from + 1)).toBe(1);
  });

  it("give tags their times, and those at the end and in new text none", () => {
    const editor = open("[sad] one [laughs] two [pause]");
    expect(timedTags(editor.state.doc, wordsOf(editor.state)).map(({ name, atS }) => [name, atS])).toEqual([
      ["sad", 0],
      ["laughs", 1],
      ["pause", 2],
    ]);
    caret(editor, "two");
    editor.dispatch(insertTag(editor.state, "excited", VOCABULARY));
    caret(editor, "");
    editor.dispatch(insertTag(editor.state, "whispers", VOCABULARY));
    expect(timedTags(editor.state.doc, wordsOf(editor.state)).map(({ name, atS }) => [name, atS])).toEqual([
      ["sad", 0],
      ["laughs", 1],
      ["excited", 1],
      ["pause", 2],
    ]);
  });

  it("are governed by a tag until the next of its category or the end of the sentence", () => {
    const { state } = open("Hm [excited] one two... three! four [sad] five [whispers] six [excited] seven");
    const words = scopesOf(state.doc, wordsOf(state)).map(({ tag, from, to }) => [
      tag,
      state.doc.textBetween(from, to),
    ]);
    expect(words).toEqual([
      ["[excited]", "one two... three!"],
      ["[sad]", "five [whispers] six"],
      ["[whispers]", "six [excited] seven"],
      ["[excited]", "seven"],
    ]);
  });
});

describe("the palette", () => {
  it("opens at a bracket, follows what is typed, and puts the tag in as one", () => {
    const editor = open("one two");
    caret(editor, "two");
    type(editor, "[");
    expect(paletteOf(editor.state)?.items).toEqual(VOCABULARY);
    type(editor, "la");
    expect(paletteOf(editor.state)?.items.map(({ tag }) => tag)).toEqual(["laughs"]);
    editor.dispatch(insertTag(editor.state, "laughs", VOCABULARY));
    expect(texts(editor)).toEqual(["one [laughs] two"]);
    expect(paletteOf(editor.state)).toBeNull();
    editor.undo();
    expect(texts(editor)).toEqual(["one two"]);
  });

  it("replaces a tag that is selected", () => {
    const editor = open("one [sad] two");
    editor.dispatch(editor.state.tr.setSelection(NodeSelection.create(editor.state.doc, 5)));
    editor.dispatch(insertTag(editor.state, "excited", VOCABULARY));
    expect(texts(editor)).toEqual(["one [excited] two"]);
  });

  it("puts what begins so before what contains it", () => {
    expect(matchTags(VOCABULARY, "s").map(({ tag }) => tag)[0]).toBe("sad");
    expect(matchTags(VOCABULARY, "emotion").map(({ tag }) => tag)).toEqual(["excited", "sad"]);
    expect(matchTags(VOCABULARY, "zzz")).toEqual([]);
  });

  it("makes tags of brackets in pasted text", () => {
    const nodes = inlineOf("so\n[sad] [INST [1]", VOCABULARY);
    expect(nodes.map((node) => node.text ?? node.attrs.text)).toEqual(["so ", "[sad]", " [INST [1]"]);
  });
});

describe("find and replace", () => {
  const search = (editor: TranscriptEditor, text: string, matchCase = false) =>
    editor.dispatch(setSearch(editor.state.tr, { text, matchCase }));

  it("replaces all in one step", () => {
    const editor = open("The cat. A cat [laughs]", "cat");
    search(editor, "CAT");
    expect(findOf(editor.state).matches).toHaveLength(3);
    editor.dispatch(replaceAll(editor.state, "dog", VOCABULARY));
    expect(texts(editor)).toEqual(["The dog. A dog [laughs]", "dog"]);
    editor.undo();
    expect(texts(editor)).toEqual(["The cat. A cat [laughs]", "cat"]);
  });

  it("replaces all as it would one after the other, and the words around keep their times", () => {
    const lines = ["The cat sat. A cat [laughs] cats", "cat", "none [sad] here", "a cat[sad]cat"];
    for (const text of ["dog", "", "a [sad] dog"]) {
      const [atOnce, inTurn] = [open(...lines), open(...lines)];
      search(atOnce, "cat");
      const { matches } = findOf(atOnce.state);
      const change = replaceAll(atOnce.state, text, VOCABULARY);
      expect(change?.steps).toHaveLength(1);
      atOnce.dispatch(change);
      const tr = inTurn.state.tr;
      for (const { from, to } of [...matches].reverse()) tr.replaceWith(from, to, inlineOf(text, VOCABULARY));
      inTurn.dispatch(tr);
      expect(atOnce.state.doc.toJSON()).toEqual(inTurn.state.doc.toJSON());
      expect(timed(atOnce)).toEqual(timed(inTurn));
      atOnce.undo();
      expect(texts(atOnce)).toEqual(lines);
      atOnce.redo();
      expect(atOnce.state.doc.toJSON()).toEqual(inTurn.state.doc.toJSON());
    }
  });

  it("takes back what was replaced when other text was typed or read since", () => {
    const editor = open("a cat and a cat", "cat");
    search(editor, "cat");
    editor.dispatch(replaceAll(editor.state, "dog", VOCABULARY));
    // Not to be undone, as what the server reads.
    editor.dispatch(editor.state.tr.insertText("So ", 1).setMeta("addToHistory", false));
    editor.undo();
    expect(texts(editor)).toEqual(["So a cat and a cat", "cat"]);
    editor.redo();
    expect(texts(editor)).toEqual(["So a dog and a dog", "dog"]);
  });

  it("replaces one after the other", () => {
    const editor = open("a b a b");
    search(editor, "a");
    editor.dispatch(replaceMatch(editor.state, "x", VOCABULARY));
    expect(texts(editor)).toEqual(["x b a b"]);
    editor.dispatch(stepMatch(editor.state, 1));
    editor.dispatch(replaceMatch(editor.state, "", VOCABULARY));
    expect(texts(editor)).toEqual(["x b  b"]);
  });

  it("looks at case where asked, finds no text across a tag, and nothing for nothing", () => {
    const { doc } = open("Is is [pause] I[sad]s").state;
    expect(findMatches(doc, { text: "is", matchCase: true })).toHaveLength(1);
    expect(findMatches(doc, { text: "is", matchCase: false })).toHaveLength(2);
    expect(findMatches(doc, { text: "pause", matchCase: false })).toEqual([]);
    expect(findMatches(doc, { text: "", matchCase: false })).toEqual([]);
  });
});

describe("speakers", () => {
  it("are renamed and merged, and it can be undone", () => {
    const editor = open("SPEAKER_1: one", "SPEAKER_2: two", "SPEAKER_1: three");
    editor.dispatch(renameSpeaker(editor.state, "SPEAKER_2", " Ann "));
    expect(speakerNamesOf(editor.state.doc)).toEqual({ SPEAKER_2: "Ann" });
    editor.dispatch(mergeSpeakers(editor.state, "SPEAKER_1", "SPEAKER_2"));
    expect(speakersOf(editor.state.doc)).toEqual(["SPEAKER_2"]);
    editor.undo();
    editor.undo();
    expect(speakersOf(editor.state.doc)).toEqual(["SPEAKER_1", "SPEAKER_2"]);
    expect(speakerNamesOf(editor.state.doc)).toEqual({});
  });

  it("can be given to one segment", () => {
    const editor = open("SPEAKER_1: one", "SPEAKER_1: two");
    editor.dispatch(setSpeaker(editor.state, editor.state.doc.child(0).nodeSize, newSpeaker(["SPEAKER_1"])));
    expect(segmentsOf(editor.state.doc).map(({ speaker }) => speaker)).toEqual(["SPEAKER_1", "SPEAKER_2"]);
  });

  it("have labels", () => {
    expect(speakerLabel("SPEAKER_2", {})).toBe("Speaker 2");
    expect(speakerLabel("SPEAKER_2", { SPEAKER_2: "Ann" })).toBe("Ann");
    expect(speakerLabel("host", {})).toBe("host");
  });
});

describe("a passage that was transcribed again", () => {
  const again = (...lines: string[]) => {
    const passage = sample(...lines);
    for (const word of passage.words) word.start_s = word.end_s = 1.5;
    return passage;
  };

  it("takes the place of the words that were spoken then", () => {
    const editor = open("one two three four");
    editor.dispatch(replacePassage(editor.state, again("zwei [laughs]", "drei"), 1.2, 2.9));
    expect(texts(editor)).toEqual(["one zwei [laughs] drei four"]);
    expect(timed(editor)).toEqual(["one@0", "zwei@1.5", "drei@1.5", "four@3"]);
    editor.undo();
    expect(texts(editor)).toEqual(["one two three four"]);
  });

  it("goes over the edges of segments", () => {
    const editor = open("one two", "three four");
    editor.dispatch(replacePassage(editor.state, again("zwei drei"), 1, 3));
    expect(texts(editor).map((text) => text.trim())).toEqual(["one zwei drei", "four"]);
  });

  it("is nothing where nothing was said", () => {
    const { state } = open("one");
    expect(replacePassage(state, again("zwei"), 5, 6)).toBeNull();
  });
});
