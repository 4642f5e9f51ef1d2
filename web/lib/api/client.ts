/** The server's addresses as functions. Every failure is thrown as a `ProblemError`, or the signal's abort. */

import { EventSourceParserStream } from "eventsource-parser/stream";
import { isAbort, ProblemError, problemOf, readProblem, UNREACHABLE } from "@/lib/api/problem";
import type {
  Capabilities,
  Contours,
  Edit,
  Job,
  Problem,
  Respeak,
  Transcript,
  TranscriptDocument,
  TranscriptPage,
} from "@/lib/api/types";

type Query = Record<string, string | number | undefined | null>;

function address(path: string, query: Query = {}): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const search = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return search ? `${path}?${search}` : path;
}

let keyWanted = () => {};

/** What is done when the server refuses a request for the want of a key. */
export function onKeyWanted(listener: typeof keyWanted): void {
  keyWanted = listener;
}

const UNAUTHORIZED = 401;
/** When the session began, in `performance.now()`'s time: what was refused before tells nothing of it. */
let sessionSinceMs = 0;

function refusal(status: number, text: string, askedAtMs: number): ProblemError {
  if (status === UNAUTHORIZED && askedAtMs >= sessionSinceMs) keyWanted();
  return readProblem(status, text);
}

async function request(path: string, init: RequestInit = {}): Promise<Response> {
  const askedAtMs = performance.now();
  let response: Response;
  try {
    response = await fetch(path, init);
  } catch (error) {
    throw isAbort(error) ? error : new ProblemError(UNREACHABLE);
  }
  if (!response.ok) throw refusal(response.status, await response.text(), askedAtMs);
  return response;
}

async function json<T>(path: string, init?: RequestInit): Promise<T> {
  return (await request(path, init)).json();
}

const body = (method: string, content: unknown, headers: HeadersInit = {}): RequestInit => ({
  method,
  body: JSON.stringify(content),
  headers: { "Content-Type": "application/json", ...headers },
});

const transcriptAt = (id: string) => `/transcripts/${encodeURIComponent(id)}`;

// ---- the server ----

export const getCapabilities = () => json<Capabilities>("/capabilities");

/** Exchange a key for a session: a cookie that the browser sends with everything, and that no script can read. */
export async function beginSession(key: string, remember: boolean): Promise<void> {
  await request("/session", body("POST", { remember }, { Authorization: `Bearer ${key}` }));
  sessionSinceMs = performance.now();
}

export const endSession = () => request("/session", { method: "DELETE" });

// ---- transcription ----

export interface TranscribeChoices {
  language?: string;
  diarize?: boolean;
}

function form(file: Blob, name: string, choices: TranscribeChoices): FormData {
  const data = new FormData();
  data.append("file", file, name);
  if (choices.language) data.append("language", choices.language);
  if (choices.diarize) data.append("diarize", "true");
  return data;
}

/**
 * Upload a recording; the server transcribes it in its own time.
 *
 * @param onSent called with the share of the file that is uploaded, 0..1. (`fetch` cannot tell it.)
 */
export function postJob(
  file: File,
  choices: TranscribeChoices,
  onSent: (share: number) => void,
  signal: AbortSignal,
): Promise<Job> {
  return new Promise((resolve, reject) => {
    const askedAtMs = performance.now();
    const sending = new XMLHttpRequest();
    sending.open("POST", "/jobs");
    sending.upload.onprogress = ({ loaded, total }) => onSent(total > 0 ? loaded / total : 1);
    sending.upload.onload = () => onSent(1);
    sending.onload = () =>
      sending.status === 202
        ? resolve(JSON.parse(sending.responseText))
        : reject(refusal(sending.status, sending.responseText, askedAtMs));
    sending.onerror = () => reject(new ProblemError(UNREACHABLE));
    sending.onabort = () => reject(signal.reason);
    signal.addEventListener("abort", () => sending.abort(), { once: true });
    sending.send(form(file, file.name, choices));
  });
}

export const getJobs = () => json<Job[]>("/jobs?limit=50");
export const getJob = (id: string) => json<Job>(`/jobs/${id}`);
export const cancelJob = (id: string) => request(`/jobs/${id}`, { method: "DELETE" });

export interface Hearing {
  onProgress?: (doneS: number, totalS: number | null) => void;
  onText?: (text: string) => void;
}

/** The fields of all events; each has some of them. */
interface EventData {
  done_s: number;
  total_s: number | null;
  text: string;
  transcript_id: string;
  problem: Problem;
}

interface ServerEvent {
  name: string;
  data: EventData;
}

async function* eventsOf(response: Response): AsyncGenerator<ServerEvent> {
  if (!response.body) return;
  const events = response.body
    .pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array<ArrayBuffer>>)
    .pipeThrough(new EventSourceParserStream());
  const reader = events.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield { name: value.event ?? "message", data: JSON.parse(value.data) };
    }
  } catch (error) {
    throw isAbort(error) ? error : new ProblemError(UNREACHABLE);
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** Reads events until the one called `last`; gives its data. */
async function follow(response: Response, last: string, hearing: Hearing): Promise<EventData> {
  for await (const { name, data } of eventsOf(response)) {
    if (name === last) return data;
    if (name === "progress") hearing.onProgress?.(data.done_s, data.total_s);
    else if (name === "text") hearing.onText?.(data.text);
    else if (name === "error") throw problemOf(data.problem ?? data);
  }
  throw new ProblemError({ ...UNREACHABLE, detail: "The connection to the server broke off." });
}

/** Follow a job to its end; gives the id of its transcript. */
export const followJob = async (id: string, hearing: Hearing, signal: AbortSignal): Promise<string> =>
  (await follow(await request(`/jobs/${id}/events`, { signal }), "done", hearing)).transcript_id;

/** Transcribe a recording that the server is not to keep. */
export const transcribe = async (
  file: File,
  choices: TranscribeChoices,
  hearing: Hearing,
  signal: AbortSignal,
): Promise<Transcript> => {
  const data = form(file, file.name, choices);
  data.append("stream", "true");
  const response = await request("/transcribe", { method: "POST", body: data, signal });
  return (await follow(response, "transcript", hearing)) as unknown as Transcript;
};

// ---- kept transcripts ----

export const getTranscripts = (query: string, cursor: string | null, signal?: AbortSignal) =>
  json<TranscriptPage>(address("/transcripts", { query, cursor, limit: 30 }), signal ? { signal } : {});

export const getTranscript = (id: string) => json<TranscriptDocument>(transcriptAt(id));

export const deleteTranscript = (id: string) => request(transcriptAt(id), { method: "DELETE" });

/** Keep a transcript that was made elsewhere: live, from the microphone. */
export function postTranscript(file: File, transcript: Transcript): Promise<TranscriptDocument> {
  const data = new FormData();
  data.append("file", file, file.name);
  data.append("transcript", JSON.stringify(transcript));
  return json("/transcripts", { method: "POST", body: data });
}

/** Someone else saved a version in between; `current` is it. */
export class ConflictError extends Error {
  constructor(readonly current: TranscriptDocument) {
    super("conflict");
  }
}

export async function putTranscript(id: string, version: number, edit: Edit): Promise<TranscriptDocument> {
  try {
    return await json(transcriptAt(id), body("PUT", edit, { "If-Match": `"${version}"` }));
  } catch (error) {
    const problem = problemOf(error);
    if (problem.status !== 412) throw problem;
    throw new ConflictError((problem.document.current as TranscriptDocument) ?? (await getTranscript(id)));
  }
}

export const retranscribe = (id: string, startS: number, endS: number) =>
  json<Transcript>(`${transcriptAt(id)}/retranscribe`, body("POST", { start_s: startS, end_s: endS }));

export const audioAddress = (id: string) => `${transcriptAt(id)}/audio`;

export const getPeaks = (id: string, count: number) =>
  json<{ peaks: number[] }>(address(`${transcriptAt(id)}/peaks`, { count })).then(({ peaks }) => peaks);

export const exportAddress = (id: string, format: string, dialect?: string) =>
  address(`${transcriptAt(id)}/export`, { format, dialect });

/** The text in a dialect, and what the dialect cannot say. */
export async function exportText(id: string, dialect: string): Promise<{ text: string; lost: string[] }> {
  const response = await request(exportAddress(id, "txt", dialect));
  const lost: unknown = JSON.parse(response.headers.get("X-Evoxtral-Lost") ?? "[]");
  return { text: await response.text(), lost: Array.isArray(lost) ? lost.map(lostTag) : [] };
}

const lostTag = (entry: unknown): string =>
  typeof entry === "object" && entry !== null && "tag" in entry ? String(entry.tag) : String(entry);

// ---- speaking it again ----

export interface RespeakChoices {
  engine: string;
  voice?: string;
  seed: number;
  keep_timing: boolean;
}

export const respeak = (id: string, choices: RespeakChoices, signal: AbortSignal) =>
  json<Respeak>(`${transcriptAt(id)}/respeak`, { ...body("POST", choices), signal });

/** What was spoken of a transcript before, newest first. */
export const getRespeaks = (id: string) => json<Respeak[]>(`${transcriptAt(id)}/respeaks`);

export const respeakAudioAddress = (id: string, respeakId: string) =>
  `${transcriptAt(id)}/respeaks/${encodeURIComponent(respeakId)}/audio`;

export const getContours = (id: string, respeakId: string) =>
  json<Contours>(address(`${transcriptAt(id)}/contours`, { respeak: respeakId }));
