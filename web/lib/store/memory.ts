"use client";

/** Transcripts of a server that keeps none: here until the page is left. */

import { create } from "zustand";
import type { Transcript, TranscriptDocument, TranscriptItem } from "@/lib/api/types";
import { stem } from "@/lib/format";

export interface MemoryEntry {
  document: TranscriptDocument;
  file: File;
}

export const MEMORY_PREFIX = "here-";

export const useMemoryStore = create<{ entries: MemoryEntry[] }>()(() => ({ entries: [] }));

/** Returns the new transcript's id. */
export function remember(file: File, transcript: Transcript): string {
  const { entries } = useMemoryStore.getState();
  const now = new Date().toISOString();
  const id = `${MEMORY_PREFIX}${entries.length + 1}`;
  const facts = { id, name: stem(file.name), created_at: now, updated_at: now, version: 1, has_audio: true };
  useMemoryStore.setState({ entries: [{ document: { ...facts, transcript, speaker_names: {} }, file }, ...entries] });
  return id;
}

export const recall = (id: string): MemoryEntry | undefined =>
  useMemoryStore.getState().entries.find(({ document }) => document.id === id);

/** Take over an edit. */
export function amend(document: TranscriptDocument): void {
  useMemoryStore.setState(({ entries }) => ({
    entries: entries.map((entry) => (entry.document.id === document.id ? { ...entry, document } : entry)),
  }));
}

export function forget(id: string): void {
  useMemoryStore.setState(({ entries }) => ({ entries: entries.filter(({ document }) => document.id !== id) }));
}

export function itemOf({ document }: MemoryEntry): TranscriptItem {
  const { transcript, speaker_names: _, ...facts } = document;
  return { ...facts, duration_s: transcript.duration_s, language: transcript.language, snippet: transcript.text };
}
