import { describe, expect, it } from "vitest";
import type { TranscriptTag, TranscriptWord } from "@/lib/api/types";
import { codePointOffsets, piecesOf } from "@/lib/text-places";

const untimed = { start_s: null, end_s: null, confidence: null };
const segment = (text: string) => ({ start_s: 0, end_s: 1, text, plain_text: "", speaker: null });
const word = (text: string, index: number, start: number, end: number): TranscriptWord => {
  return { word: text, emphasis: false, speaker: null, segment: index, start_char: start, end_char: end, ...untimed };
};
const tag = (name: string, index: number, start: number, end: number): TranscriptTag => {
  const place = { segment: index, start_char: start, end_char: end };
  return { tag: name, category: null, group: null, known: false, gap: 0, ...place, ...untimed };
};
const shown = (pieces: { kind: string; text: string }[] | undefined) => pieces?.map((p) => `${p.kind}:${p.text}`);

describe("codePointOffsets", () => {
  it("counts as JavaScript does what Python counts as one", () => {
    const offset = codePointOffsets("a😀b");
    expect([0, 1, 2, 3].map(offset)).toEqual([0, 1, 3, 4]);
  });
});

describe("piecesOf", () => {
  it("cuts each segment at the places of its words and tags", () => {
    const [first, second] = piecesOf({
      segments: [segment("[sad] Oh NO..."), segment("😀 Hi [laughs]")],
      words: [word("Oh", 0, 6, 8), word("NO...", 0, 9, 14), word("Hi", 1, 2, 4)],
      tags: [tag("sad", 0, 0, 5), tag("laughs", 1, 5, 13)],
    });
    expect(shown(first)).toEqual(["tag:[sad]", "text: ", "word:Oh", "text: ", "word:NO..."]);
    expect(shown(second)).toEqual(["text:😀 ", "word:Hi", "text: ", "tag:[laughs]"]);
  });

  it("finds tags that touch words and each other, and keeps text that is neither", () => {
    const [pieces] = piecesOf({
      segments: [segment("Wait[gasps][pause]what ?")],
      words: [word("Wait", 0, 0, 4), word("what", 0, 18, 22)],
      tags: [tag("gasps", 0, 4, 11), tag("pause", 0, 11, 18)],
    });
    expect(shown(pieces)).toEqual(["word:Wait", "tag:[gasps]", "tag:[pause]", "word:what", "text: ?"]);
  });

  it("splits a word around a tag inside it", () => {
    const [pieces] = piecesOf({
      segments: [segment("[a [laughs] b]")],
      words: [word("[a [laughs] b]", 0, 0, 14)],
      tags: [tag("laughs", 0, 3, 11)],
    });
    expect(shown(pieces)).toEqual(["word:[a ", "tag:[laughs]", "word: b]"]);
  });
});
