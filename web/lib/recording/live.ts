/**
 * What is heard while one speaks: the messages of `WS /transcribe/stream` put together.
 *
 * Committed text only grows; tentative text may still change. A final message replaces both for its utterance.
 */

import type { Transcript, TranscriptTag, TranscriptWord } from "@/lib/api/types";

export interface Utterance {
  id: number;
  startS: number;
  endS: number;
  text: string;
  plainText: string;
  words: TranscriptWord[];
  tags: TranscriptTag[];
}

export interface LiveText {
  finals: Utterance[];
  /** Of the utterance that is being spoken. */
  committed: string;
  tentative: string;
  partialOf: number;
  model: string;
  problem: string | null;
  isDone: boolean;
}

export type LiveMessage =
  | { type: "ready"; model: string }
  | { type: "speech_started" }
  | { type: "end_of_turn_likely" }
  | { type: "turn_resumed" }
  | { type: "partial"; utterance_id: number; committed: string; tentative: string }
  | {
      type: "final";
      utterance_id: number;
      start: number;
      end: number;
      text: string;
      plain_text: string;
      words: TranscriptWord[];
      tags: TranscriptTag[];
    }
  | { type: "error"; message: string; retryable: boolean }
  | { type: "done" };

export const NOTHING_HEARD: LiveText = {
  finals: [],
  committed: "",
  tentative: "",
  partialOf: -1,
  model: "",
  problem: null,
  isDone: false,
};

export function hear(live: LiveText, message: LiveMessage): LiveText {
  switch (message.type) {
    case "ready":
      return { ...live, model: message.model };
    case "partial": {
      if (live.finals.some(({ id }) => id === message.utterance_id)) return live; // overtaken by its final
      const { committed, tentative, utterance_id: partialOf } = message;
      return { ...live, committed, tentative, partialOf };
    }
    case "final": {
      const { utterance_id: id, start: startS, end: endS, text, plain_text: plainText, words, tags } = message;
      const rest = live.partialOf === id ? { committed: "", tentative: "", partialOf: -1 } : {};
      if (!text) return { ...live, ...rest };
      return { ...live, ...rest, finals: [...live.finals, { id, startS, endS, text, plainText, words, tags }] };
    }
    case "error":
      return { ...live, problem: message.message };
    case "done":
      return { ...live, committed: "", tentative: "", isDone: true };
    default:
      return live;
  }
}

/** The transcript of a recording that was heard live: a segment an utterance. */
export function transcriptOf(live: LiveText, durationS: number, name: string): Transcript {
  const words: TranscriptWord[] = [];
  const tags: TranscriptTag[] = [];
  live.finals.forEach((utterance, segment) => {
    const wordsBefore = words.length;
    words.push(...utterance.words.map((word) => ({ ...word, segment })));
    tags.push(...utterance.tags.map((tag) => ({ ...tag, segment, gap: tag.gap + wordsBefore })));
  });
  const join = (of: (utterance: Utterance) => string) => live.finals.map(of).filter(Boolean).join(" ");
  return {
    path: name,
    model: live.model,
    engine: "live",
    language: "en",
    language_probability: null,
    duration_s: durationS,
    text: join(({ text }) => text),
    plain_text: join(({ plainText }) => plainText),
    segments: live.finals.map(({ startS, endS, text, plainText }) => {
      return { start_s: startS, end_s: endS, speaker: null, text, plain_text: plainText };
    }),
    words,
    tags,
    notes: [],
  };
}
