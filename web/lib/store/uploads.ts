"use client";

/** Recordings on their way to becoming transcripts: sent one after the other, transcribed in the server's own time. */

import { create } from "zustand";
import { cancelJob, followJob, getJobs, postJob, type TranscribeChoices, transcribe } from "@/lib/api/client";
import { isAbort, type ProblemError, problemOf, UNREACHABLE } from "@/lib/api/problem";
import type { Job } from "@/lib/api/types";
import { byteSize } from "@/lib/format";
import { listTranscripts } from "@/lib/store/library";
import { remember } from "@/lib/store/memory";
import { useServer } from "@/lib/store/server";

export interface Upload {
  key: string;
  name: string;
  step: "waiting" | "sending" | "listening" | "failed";
  /** Share of the file that is sent, 0..1. */
  sent: number;
  doneS: number;
  totalS: number | null;
  /** When the server began to listen, in `performance.now()`'s time. */
  listeningSince: number | null;
  /** The last words that were heard. */
  heard: string;
  problem: ProblemError | null;
}

interface Source {
  file: File | null;
  jobId: string | null;
  choices: TranscribeChoices;
  /** Nothing was with it when it came: whoever sent it waits for it and nothing else. */
  isAlone: boolean;
  running: AbortController;
}

const FOLLOW_AGAIN_MS = 2000;
const LIST_AGAIN_MS = 2000;
/**
 * A job that is followed holds a connection, and browsers open only six to a server, for all tabs together: more jobs
 * would leave none to send, save or read with. The others wait for their turn; how far they are the server's list tells.
 */
const FOLLOWED_AT_ONCE = 2;
let followed = 0;
const waiting: (() => void)[] = [];
/** Jobs that are not followed yet, with the keys of their uploads. */
const unfollowed = new Map<string, string>();
let isListAsked = false;

export const useUploads = create<{ uploads: Upload[] }>()(() => ({ uploads: [] }));
const sources = new Map<string, Source>();
/** Jobs that this page sent or followed, however they ended: a list that was asked for before may still name them. */
const ours = new Set<string>();
let finished: (transcriptId: string, wasOnlyOne: boolean) => void = () => {};
let sending = Promise.resolve();

// Files that the server does not have yet are lost with the page: the browser asks before it leaves.
const askToStay = (event: BeforeUnloadEvent) => event.preventDefault();
useUploads.subscribe(({ uploads }) => {
  const isKept = useServer.getState().capabilities?.store !== false;
  const isHere = uploads.some(
    ({ step }) => step === "waiting" || step === "sending" || (!isKept && step === "listening"),
  );
  if (isHere) window.addEventListener("beforeunload", askToStay);
  else window.removeEventListener("beforeunload", askToStay);
});

/** What is done when a transcript is there; the second argument tells whether it came alone and nothing else is under way. */
export function onFinished(listener: typeof finished): void {
  finished = listener;
}

function change(key: string, changes: Partial<Upload>): void {
  useUploads.setState(({ uploads }) => ({
    uploads: uploads.map((upload) => (upload.key === key ? { ...upload, ...changes } : upload)),
  }));
}

function begin(name: string, source: Source, changes: Partial<Upload> = {}): string {
  const key = crypto.randomUUID?.() ?? String(Math.random());
  sources.set(key, source);
  const upload: Upload = {
    key,
    name,
    step: "waiting",
    sent: 0,
    doneS: 0,
    totalS: null,
    listeningSince: null,
    heard: "",
    problem: null,
    ...changes,
  };
  useUploads.setState(({ uploads }) => ({ uploads: [...uploads, upload] }));
  return key;
}

/** Take in files; each is transcribed. */
export function addFiles(files: readonly File[], choices: TranscribeChoices): void {
  const isAlone = files.length === 1 && useUploads.getState().uploads.length === 0;
  for (const file of files) {
    const key = begin(file.name, { file, jobId: null, choices, isAlone, running: new AbortController() });
    start(key);
  }
}

/** Show what the server was given before, by this page or another one. */
export function resumeJobs(): void {
  // In the queue of what is sent: a job is known as ours only when the server has answered with its id.
  sending = sending.then(resume);
}

async function resume(): Promise<void> {
  const jobs = await getJobs().catch((): Job[] => []);
  for (const job of jobs) {
    if (ours.has(job.id) || !["queued", "running"].includes(job.state)) continue;
    ours.add(job.id);
    const source = { file: null, jobId: job.id, choices: {}, isAlone: false, running: new AbortController() };
    const key = begin(job.name, source, { step: "listening", sent: 1, doneS: job.done_s, totalS: job.total_s });
    follow(key, job.id);
  }
}

export function cancel(key: string): void {
  const source = sources.get(key);
  source?.running.abort();
  if (source?.jobId) cancelJob(source.jobId).catch(() => {});
  dismiss(key);
}

export function dismiss(key: string): void {
  sources.delete(key);
  useUploads.setState(({ uploads }) => ({ uploads: uploads.filter((upload) => upload.key !== key) }));
}

export function retry(key: string): void {
  const source = sources.get(key);
  if (!source?.file) return;
  source.running = new AbortController();
  source.jobId = null;
  change(key, { step: "waiting", sent: 0, doneS: 0, totalS: null, heard: "", problem: null, listeningSince: null });
  start(key);
}

export const canRetry = (key: string) => sources.get(key)?.file != null;

function start(key: string): void {
  const source = sources.get(key);
  const { capabilities } = useServer.getState();
  if (!source?.file) return;
  const { file } = source;
  if (capabilities && file.size > capabilities.max_upload_bytes) {
    const limit = byteSize(capabilities.max_upload_bytes);
    const detail = `${file.name} has ${byteSize(file.size)}; this server takes up to ${limit}.`;
    const hint = "send a compressed file (Opus, MP3), or cut it";
    change(key, { step: "failed", problem: problemOf({ detail, hint }) });
    return;
  }
  const turn = capabilities?.store === false ? () => hearHere(key, source, file) : () => send(key, source, file);
  sending = sending.then(turn);
}

async function send(key: string, source: Source, file: File): Promise<void> {
  if (source.running.signal.aborted) return;
  change(key, { step: "sending" });
  try {
    const onSent = (sent: number) => change(key, { sent });
    const job = await postJob(file, source.choices, onSent, source.running.signal);
    source.jobId = job.id;
    ours.add(job.id);
    change(key, { step: "listening", sent: 1 });
    follow(key, job.id); // not awaited: the next file is sent meanwhile
  } catch (error) {
    fail(key, error);
  }
}

function hearing(key: string) {
  return {
    onProgress: (doneS: number, totalS: number | null) => {
      const since = useUploads.getState().uploads.find((upload) => upload.key === key)?.listeningSince;
      change(key, { doneS, totalS, listeningSince: since ?? performance.now() });
    },
    onText: (heard: string) => change(key, { heard }),
  };
}

async function follow(key: string, jobId: string): Promise<void> {
  const source = sources.get(key);
  if (!source) return;
  if (followed < FOLLOWED_AT_ONCE) followed++;
  else {
    unfollowed.set(jobId, key);
    if (!isListAsked) setTimeout(readList, LIST_AGAIN_MS);
    isListAsked = true;
    await new Promise<void>((go) => waiting.push(go));
    unfollowed.delete(jobId);
  }
  try {
    // Cancelled or sent again, or its end was read in the list.
    if (sources.get(key) !== source || source.jobId !== jobId) return;
    if (source.running.signal.aborted) return;
    const id = await followJob(jobId, hearing(key), source.running.signal);
    done(key, id);
    listTranscripts();
  } catch (error) {
    // The job goes on without us: come back to it.
    const isLost = problemOf(error).hint === UNREACHABLE.hint;
    if (isLost && !source.running.signal.aborted) setTimeout(() => follow(key, jobId), FOLLOW_AGAIN_MS);
    else fail(key, error);
  } finally {
    const next = waiting.shift();
    if (next) next();
    else followed--;
  }
}

/** Tell of the jobs that wait to be followed what the server's list says of them, for as long as there are any. */
async function readList(): Promise<void> {
  const jobs = await getJobs().catch((): Job[] => []);
  for (const { id, state, done_s: doneS, total_s: totalS, transcript_id: transcriptId, problem } of jobs) {
    const key = unfollowed.get(id);
    if (key === undefined || !sources.has(key)) continue;
    if (state === "running") hearing(key).onProgress(doneS, totalS);
    if (state === "failed") fail(key, problem);
    if (state === "done" && transcriptId !== null) {
      done(key, transcriptId);
      listTranscripts();
    }
  }
  isListAsked = unfollowed.size > 0;
  if (isListAsked) setTimeout(readList, LIST_AGAIN_MS);
}

async function hearHere(key: string, source: Source, file: File): Promise<void> {
  if (source.running.signal.aborted) return;
  change(key, { step: "listening", sent: 1 });
  try {
    const transcript = await transcribe(file, source.choices, hearing(key), source.running.signal);
    done(key, remember(file, transcript));
  } catch (error) {
    fail(key, error);
  }
}

function done(key: string, transcriptId: string): void {
  const cameAlone = sources.get(key)?.isAlone ?? false;
  dismiss(key);
  finished(transcriptId, cameAlone && useUploads.getState().uploads.length === 0);
}

function fail(key: string, error: unknown): void {
  if (isAbort(error)) dismiss(key);
  else change(key, { step: "failed", problem: problemOf(error) });
}
