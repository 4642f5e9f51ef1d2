import { expect, it } from "vitest";
import { sample } from "@/lib/editor/sample";
import { hear, type LiveMessage, NOTHING_HEARD, transcriptOf } from "@/lib/recording/live";
import { piecesOf } from "@/lib/text-places";

const partial = (utterance_id: number, committed: string, tentative = ""): LiveMessage => {
  return { type: "partial", utterance_id, committed, tentative };
};
const final = (utterance_id: number, text: string, start: number): LiveMessage => {
  const { words, tags } = sample(text);
  return { type: "final", utterance_id, start, end: start + words.length, text, plain_text: text, words, tags };
};
const heard = (...messages: LiveMessage[]) => messages.reduce(hear, NOTHING_HEARD);

it("shows an utterance so far until its final comes", () => {
  const speaking = heard({ type: "ready", model: "edge" }, partial(1, "one", "two"));
  expect(speaking).toMatchObject({ committed: "one", tentative: "two", model: "edge", finals: [] });
  const spoken = hear(speaking, final(1, "one two.", 0));
  expect(spoken).toMatchObject({ committed: "", tentative: "" });
  expect(spoken.finals.map(({ text }) => text)).toEqual(["one two."]);
});

it("keeps the next utterance's partial when the last one's final comes late", () => {
  const live = heard(partial(2, "three"), final(1, "one two.", 0));
  expect(live.committed).toBe("three");
  expect(hear(live, partial(1, "old")).committed).toBe("three");
});

it("leaves out utterances in which nothing was said", () => {
  expect(heard(partial(1, "hm"), final(1, "", 0)).finals).toEqual([]);
});

it("tells errors and the end", () => {
  const live = heard({ type: "error", message: "busy", retryable: true }, { type: "done" });
  expect(live).toMatchObject({ problem: "busy", isDone: true });
});

it("becomes a transcript with a segment an utterance, whose words and tags are in place", () => {
  const live = heard(final(1, "one [laughs] two", 0), final(2, "[sad] three", 5));
  const transcript = transcriptOf(live, 7, "me.wav");
  expect(transcript.text).toBe("one [laughs] two [sad] three");
  expect(transcript.tags.map(({ tag, gap, segment }) => [tag, gap, segment])).toEqual([
    ["laughs", 1, 0],
    ["sad", 2, 1],
  ]);
  expect(piecesOf(transcript).map((pieces) => pieces.map(({ text }) => text).join(""))).toEqual([
    "one [laughs] two",
    "[sad] three",
  ]);
  expect(transcript.segments[1]).toMatchObject({ start_s: 5, end_s: 6 });
});
