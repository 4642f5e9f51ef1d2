"use client";

/** The transcripts that the server keeps, as far as they are listed, and the search in them. */

import { create } from "zustand";
import { deleteTranscript, getTranscripts } from "@/lib/api/client";
import { isAbort, type ProblemError, problemOf } from "@/lib/api/problem";
import type { TranscriptItem } from "@/lib/api/types";

interface Library {
  query: string;
  items: TranscriptItem[] | null;
  next: string | null;
  problem: ProblemError | null;
}

export const useLibrary = create<Library>()(() => ({ query: "", items: null, next: null, problem: null }));

/** Of the list that is shown or asked for: whatever is asked for a list that another one replaced is not wanted. */
let listing = new AbortController();
let isAskingMore = false;

/** List from the start. What is shown stays until the answer is here. */
export async function listTranscripts(query = useLibrary.getState().query): Promise<void> {
  listing.abort();
  listing = new AbortController();
  isAskingMore = false;
  useLibrary.setState({ query });
  await ask(listing.signal, async (signal) => {
    const { items, next } = await getTranscripts(query, null, signal);
    return { items, next, problem: null };
  });
}

export async function listMore(): Promise<void> {
  const { query, next, items } = useLibrary.getState();
  if (!next || isAskingMore) return;
  isAskingMore = true;
  const { signal } = listing;
  await ask(signal, async () => {
    const page = await getTranscripts(query, next, signal);
    return { items: [...(items ?? []), ...page.items], next: page.next };
  });
  if (!signal.aborted) isAskingMore = false;
}

async function ask(signal: AbortSignal, answer: (signal: AbortSignal) => Promise<Partial<Library>>): Promise<void> {
  try {
    const changes = await answer(signal);
    if (!signal.aborted) useLibrary.setState(changes);
  } catch (error) {
    if (!isAbort(error) && !signal.aborted) useLibrary.setState({ problem: problemOf(error) });
  }
}

export async function removeTranscript(id: string): Promise<void> {
  await deleteTranscript(id);
  useLibrary.setState(({ items }) => ({ items: items?.filter((item) => item.id !== id) ?? null }));
  listTranscripts(); // a list that is under way may still have it
}
