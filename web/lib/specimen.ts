/** One line that shows every kind of tag, for the empty page. */

import type { Category, Transcript, TranscriptTag, TranscriptWord } from "@/lib/transcript";

const untimed = { start_s: null, end_s: null };
const tag = (name: string, category: Category, gap: number): TranscriptTag => {
  return { tag: name, category, group: null, known: true, gap, ...untimed };
};

const text = "[whispers] Come closer. [pause] They said YES! [laughs] [excited] We start on Monday!";
const spoken = "Come closer. They said YES! We start on Monday!";

export const SPECIMEN: Pick<Transcript, "text" | "words" | "tags"> = {
  text,
  words: spoken
    .split(" ")
    .map((word): TranscriptWord => ({ word, emphasis: word === "YES!", speaker: null, confidence: null, ...untimed })),
  tags: [
    tag("whispers", "delivery", 0),
    tag("pause", "pause", 2),
    tag("laughs", "non-verbal", 5),
    tag("excited", "emotion", 5),
  ],
};
