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

let asking: AbortController | null = null;

/** List from the start. What is shown stays until the answer is here. */
export async function listTranscripts(query = useLibrary.getState().query): Promise<void> {
  asking?.abort();
  asking = new AbortController();
  useLibrary.setState({ query });
  try {
    const { items, next } = await getTranscripts(query, null, asking.signal);
    useLibrary.setState({ items, next, problem: null });
  } catch (error) {
    if (!isAbort(error)) useLibrary.setState({ problem: problemOf(error) });
  }
}

export async function listMore(): Promise<void> {
  const { query, next, items } = useLibrary.getState();
  if (!next) return;
  try {
    const page = await getTranscripts(query, next);
    if (useLibrary.getState().query === query) {
      useLibrary.setState({ items: [...(items ?? []), ...page.items], next: page.next });
    }
  } catch (error) {
    useLibrary.setState({ problem: problemOf(error) });
  }
}

export async function removeTranscript(id: string): Promise<void> {
  await deleteTranscript(id);
  useLibrary.setState(({ items }) => ({ items: items?.filter((item) => item.id !== id) ?? null }));
}
