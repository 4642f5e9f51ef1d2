"use client";

/** What was spoken again while this page is open, the last of each transcript. */

import { create } from "zustand";
import type { Contours, Respeak } from "@/lib/api/types";

export interface Spoken {
  respeak: Respeak;
  /** Version of the transcript that was spoken. */
  version: number;
  contours: Contours | null;
}

export const useRespeaks = create<Record<string, Spoken>>()(() => ({}));

export const keepRespeak = (id: string, spoken: Spoken) => useRespeaks.setState({ [id]: spoken });

export const keepContours = (id: string, respeakId: string, contours: Contours) =>
  useRespeaks.setState((all) => {
    const spoken = all[id];
    return spoken?.respeak.id === respeakId ? { [id]: { ...spoken, contours } } : {};
  });
