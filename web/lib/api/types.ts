/** The server's records under the names that the page uses. Their fields are the server's: `schema.ts` is generated. */

import type { components } from "@/lib/api/schema";

/** An answer has all its fields, those with a default too. */
type Answer<Name extends keyof components["schemas"]> = Required<components["schemas"][Name]>;
type With<Record, Changes> = Omit<Record, keyof Changes> & Changes;

export type Category = "emotion" | "non-verbal" | "delivery" | "pause";

/**
 * One word as written, with its punctuation; times in seconds, null where no alignment was made. It is
 * `start_char..end_char` (code points) of the text of segment `segment`.
 */
export type TranscriptWord = Answer<"TranscriptWord">;

/** One tag under its canonical name; `gap` words of the transcript stand before it. Its place is given as a word's. */
export type TranscriptTag = With<Answer<"TranscriptTag">, { category: Category | null }>;

export type TranscriptSegment = Answer<"TranscriptSegment">;

export type Transcript = With<
  Answer<"Transcript">,
  { segments: TranscriptSegment[]; words: TranscriptWord[]; tags: TranscriptTag[] }
>;

/** What an edit sends: the server parses the texts again. */
export type EditedSegment = Answer<"SegmentEdit">;
export type Edit = components["schemas"]["Edit"];

export type SpeakerNames = Record<string, string>;
export type TranscriptDocument = With<Answer<"Document">, { transcript: Transcript; speaker_names: SpeakerNames }>;
export type TranscriptItem = Answer<"Listed">;
export type TranscriptPage = Answer<"ListPage">;

export type TagEntry = With<Answer<"KnownTag">, { category: Category }>;
export type SpeechEngine = Answer<"SpeechEngineState">;
export type Capabilities = With<Answer<"Capabilities">, { tags: TagEntry[]; engines: SpeechEngine[] }>;

/** What is wrong and what to do: the part of an RFC 9457 problem document that people read. */
export interface Problem {
  detail: string;
  hint?: string;
  status?: number;
}

export type Job = With<Answer<"Job">, { problem: Problem | null }>;

export interface SpokenSentence {
  text: string;
  start_s: number;
  end_s: number;
  source_start_s: number | null;
  source_end_s: number | null;
  cached: boolean;
}

export interface Respeak {
  id: string;
  engine: string;
  voice: string;
  duration_s: number;
  sentences: SpokenSentence[];
  measures: Record<string, number | null>;
}

export interface Contour {
  step_s: number;
  f0_hz: (number | null)[];
  level_db: number[];
}

export interface Contours {
  original: Contour;
  respeak: Contour;
}
