/** The server's records under the names that the page uses. Their fields are the server's (`schema.ts` is generated). */

export type Category = "emotion" | "non-verbal" | "delivery" | "pause";

/** Where a word or tag stands: `start_char..end_char` (code points) of the text of segment `segment`. */
interface Place {
  segment: number;
  start_char: number;
  end_char: number;
}

/** One word as written, with its punctuation; times in seconds, null where no alignment was made. */
export interface TranscriptWord extends Place {
  word: string;
  start_s: number | null;
  end_s: number | null;
  emphasis: boolean;
  speaker: string | null;
  confidence: number | null;
}

/** One tag under its canonical name; `gap` words of the transcript stand before it. */
export interface TranscriptTag extends Place {
  tag: string;
  category: Category | null;
  group: string | null;
  known: boolean;
  gap: number;
  start_s: number | null;
  end_s: number | null;
  confidence: number | null;
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
  language_probability: number | null;
  duration_s: number;
  text: string;
  plain_text: string;
  segments: TranscriptSegment[];
  words: TranscriptWord[];
  tags: TranscriptTag[];
  notes: string[];
}

/** What an edit sends: the server parses the texts again. */
export type EditedSegment = Pick<TranscriptSegment, "start_s" | "end_s" | "speaker" | "text">;

export type SpeakerNames = Record<string, string>;

export interface TranscriptDocument {
  id: string;
  name: string;
  created_at: string;
  updated_at: string;
  version: number;
  has_audio: boolean;
  transcript: Transcript;
  speaker_names: SpeakerNames;
}

export interface TranscriptItem {
  id: string;
  name: string;
  created_at: string;
  updated_at: string;
  duration_s: number;
  language: string;
  snippet: string;
  version: number;
  has_audio: boolean;
}

export interface TranscriptPage {
  items: TranscriptItem[];
  next: string | null;
}

export interface TagEntry {
  tag: string;
  category: Category;
  group: string;
}

export interface SpeechEngine {
  name: string;
  available: boolean;
  why_not: string | null;
  voices: { id: string; name: string }[];
}

export interface Capabilities {
  version: string;
  model: string;
  store: boolean;
  max_upload_bytes: number;
  max_duration_s: number;
  diarization: boolean;
  dialects: string[];
  engines: SpeechEngine[];
  tags: TagEntry[];
}

/** What is wrong and what to do: the part of an RFC 9457 problem document that people read. */
export interface Problem {
  detail: string;
  hint?: string;
  status?: number;
}

export type JobState = "queued" | "running" | "done" | "failed" | "cancelled";

export interface Job {
  id: string;
  name: string;
  state: JobState;
  done_s: number;
  total_s: number | null;
  transcript_id: string | null;
  problem: Problem | null;
  created_at: string;
}

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
