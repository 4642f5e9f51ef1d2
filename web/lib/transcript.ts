/** The transcript as `POST /transcribe` answers it. Knows its JSON form and nothing of how it is shown or fetched. */

export type Category = "emotion" | "non-verbal" | "delivery" | "pause";

/** One word as written, with its punctuation; times in seconds, null where no alignment was made. */
export interface TranscriptWord {
  word: string;
  start_s: number | null;
  end_s: number | null;
  emphasis: boolean;
  speaker: string | null;
  confidence: number | null;
}

/** One tag under its canonical name; `gap` words of the transcript stand before it. */
export interface TranscriptTag {
  tag: string;
  category: Category | null;
  group: string | null;
  known: boolean;
  gap: number;
  start_s: number | null;
  end_s: number | null;
}

export interface TranscriptSegment {
  start_s: number;
  end_s: number;
  text: string;
  plain_text: string;
  speaker: string | null;
}

export interface Transcript {
  path: string;
  model: string;
  engine: string;
  language: string;
  duration_s: number;
  text: string;
  plain_text: string;
  segments: TranscriptSegment[];
  words: TranscriptWord[];
  tags: TranscriptTag[];
}
