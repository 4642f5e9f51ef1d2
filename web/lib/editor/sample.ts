/** Transcripts for tests, read as the server reads them in the simple cases that tests need. */

import type { Category, Transcript, TranscriptTag, TranscriptWord } from "@/lib/api/types";

const CATEGORIES: Record<string, Category> = {
  excited: "emotion",
  sad: "emotion",
  whispers: "delivery",
  laughs: "non-verbal",
  pause: "pause",
};

export const VOCABULARY = Object.entries(CATEGORIES).map(([tag, category]) => ({
  tag,
  category,
  group: "",
  meaning: "",
}));

/** One second a word from 0 on; a segment a line, `Name: ` before it its speaker. Tags are `[letters]`. */
export function sample(...lines: string[]): Transcript {
  const words: TranscriptWord[] = [];
  const tags: TranscriptTag[] = [];
  const segments = lines.map((line, segment) => {
    const [, speaker = null, text = ""] = /^(?:(\w+): )?(.*)$/s.exec(line) ?? [];
    const firstS = words.length;
    for (const match of text.matchAll(/\[([\p{L} ]+)\]|[^\s[\]]+/gu)) {
      const before = [...text.slice(0, match.index)].length;
      const place = { segment, start_char: before, end_char: before + [...match[0]].length, confidence: 0.9 };
      const name = match[1];
      const at = words.length;
      if (name !== undefined) {
        const category = CATEGORIES[name] ?? null;
        const known = category !== null;
        tags.push({ tag: name, category, group: null, known, gap: at, start_s: at, end_s: at, ...place });
      } else {
        const word = match[0];
        const emphasis = /^[A-Z]{2,}\W*$/.test(word);
        words.push({ word, emphasis, speaker, start_s: at, end_s: at + 1, ...place });
      }
    }
    return { start_s: firstS, end_s: words.length, speaker, text, plain_text: text };
  });
  const text = segments.map((segment) => segment.text).join(" ");
  const made = { path: "a.wav", model: "test", engine: "test", language: "en", language_probability: null };
  return { ...made, duration_s: words.length, text, plain_text: text, segments, words, tags, notes: [] };
}
