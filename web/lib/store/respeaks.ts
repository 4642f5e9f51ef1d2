"use client";

/** What was spoken of each transcript last, and how it sounds. */

import { create } from "zustand";
import { getContours } from "@/lib/api/client";
import type { Contours, Respeak } from "@/lib/api/types";

export interface Spoken {
  respeak: Respeak;
  contours: Contours | null;
}

export const useRespeaks = create<Record<string, Spoken>>()(() => ({}));

/** Show what was spoken before, unless something later is shown already. */
export async function showLast(id: string, last: Respeak): Promise<void> {
  const shown = useRespeaks.getState()[id]?.respeak;
  if (!shown || shown.created_at < last.created_at) await showRespeak(id, last);
}

/** Show what was spoken; its contours follow when the server has measured them. */
export async function showRespeak(id: string, respeak: Respeak): Promise<void> {
  if (useRespeaks.getState()[id]?.respeak.id === respeak.id) return;
  useRespeaks.setState({ [id]: { respeak, contours: null } });
  const contours = await getContours(id, respeak.id).catch(() => null); // the picture is missing then, not the sound
  if (useRespeaks.getState()[id]?.respeak.id === respeak.id) useRespeaks.setState({ [id]: { respeak, contours } });
}
