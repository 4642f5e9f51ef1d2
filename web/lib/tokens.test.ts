import { describe, expect, it } from "vitest";
import { SPECIMEN } from "@/lib/specimen";
import { type Token, toTokens } from "@/lib/tokens";
import type { TranscriptTag, TranscriptWord } from "@/lib/transcript";

const untimed = { start_s: null, end_s: null };
const word = (text: string, emphasis = false): TranscriptWord => {
  return { word: text, emphasis, speaker: null, confidence: null, ...untimed };
};
const tag = (name: string, gap: number): TranscriptTag => {
  return { tag: name, category: null, group: null, known: false, gap, ...untimed };
};
const words = (text: string) => (text ? text.split(" ").map((part) => word(part)) : []);
const shown = (tokens: Token[]) => tokens.map(({ kind, text }) => `${kind}:${text}`);
const joined = (tokens: Token[]) => tokens.map(({ text }) => text).join("");

describe("toTokens", () => {
  it("cuts a text into words, tags and what is between them", () => {
    const tokens = toTokens({
      text: "[sad] Oh NO... [sighs]",
      words: words("Oh NO..."),
      tags: [tag("sad", 0), tag("sighs", 2)],
    });
    expect(shown(tokens)).toEqual(["tag:[sad]", "text: ", "word:Oh", "text: ", "word:NO...", "text: ", "tag:[sighs]"]);
  });

  it("gives each token its record, also to an alias of a tag", () => {
    const giggles = tag("laughs", 0);
    const stressed = word("YES", true);
    const tokens = toTokens({ text: "[giggles] YES", words: [stressed], tags: [giggles] });
    expect(tokens[0]).toEqual({ kind: "tag", text: "[giggles]", tag: giggles });
    expect(tokens[2]).toEqual({ kind: "word", text: "YES", word: stressed });
  });

  it("does not take a tag's name for the word after it", () => {
    const tokens = toTokens({ text: "[laughs] laughs", words: words("laughs"), tags: [tag("laughs", 0)] });
    expect(shown(tokens)).toEqual(["tag:[laughs]", "text: ", "word:laughs"]);
  });

  it("leaves brackets that are no tags as the text they are", () => {
    const text = "[] [INST] [1] [a [laughs] b]";
    const tokens = toTokens({ text, words: words("[INST] [1] [a b]"), tags: [tag("laughs", 3)] });
    expect(shown(tokens.filter(({ kind }) => kind !== "text"))).toEqual([
      "word:[INST]",
      "word:[1]",
      "word:[a",
      "tag:[laughs]",
      "word:b]",
    ]);
    expect(joined(tokens)).toBe(text);
  });

  it("finds tags that touch words and each other", () => {
    const text = "Wait[gasps][pause]what";
    const tokens = toTokens({ text, words: words("Wait what"), tags: [tag("gasps", 1), tag("pause", 1)] });
    expect(shown(tokens)).toEqual(["word:Wait", "tag:[gasps]", "tag:[pause]", "word:what"]);
  });

  it("keeps a text without words and an empty one", () => {
    expect(shown(toTokens({ text: " [sighs]\n", words: [], tags: [tag("sighs", 0)] }))).toEqual([
      "text: ",
      "tag:[sighs]",
      "text:\n",
    ]);
    expect(toTokens({ text: "", words: [], tags: [] })).toEqual([]);
  });

  it.each([
    ["a word that is not there", { text: "One two three", words: words("One zwei three"), tags: [] }],
    ["a tag that is not there", { text: "One two three", words: words("One two three"), tags: [tag("laughs", 1)] }],
  ])("loses no text over %s", (_, transcript) => {
    const tokens = toTokens(transcript);
    expect(joined(tokens)).toBe(transcript.text);
    expect(tokens[0]).toMatchObject({ kind: "word", text: "One" });
  });

  it("finds every word and tag of the specimen", () => {
    const tokens = toTokens(SPECIMEN);
    expect(tokens.flatMap((token) => (token.kind === "word" ? [token.word] : []))).toEqual(SPECIMEN.words);
    expect(tokens.flatMap((token) => (token.kind === "tag" ? [token.tag] : []))).toEqual(SPECIMEN.tags);
    expect(joined(tokens)).toBe(SPECIMEN.text);
  });
});
