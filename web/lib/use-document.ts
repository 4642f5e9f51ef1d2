"use client";

/** A transcript by its id: kept by the server, or here. */

import { useEffect, useMemo, useState } from "react";
import { audioAddress, getPeaks, getTranscript } from "@/lib/api/client";
import { type ProblemError, problemOf } from "@/lib/api/problem";
import type { TranscriptDocument } from "@/lib/api/types";
import { MEMORY_PREFIX, recall } from "@/lib/store/memory";
import { savesBehind } from "@/lib/store/saves";
import { peaksOfAddress, peaksOfFile } from "@/lib/waveform";

export interface Loaded {
  document: TranscriptDocument;
  isKept: boolean;
  /** Address of the sound, null where there is none. */
  audio: string | null;
}

const PEAKS = 800;

export function useDocument(id: string): { loaded: Loaded | null; problem: ProblemError | null } {
  const [loaded, setLoaded] = useState<Loaded | null>(null);
  const [problem, setProblem] = useState<ProblemError | null>(null);
  useEffect(() => {
    let url = "";
    let isGone = false;
    if (id.startsWith(MEMORY_PREFIX)) {
      const entry = recall(id);
      if (entry) {
        url = URL.createObjectURL(entry.file);
        setLoaded({ document: entry.document, isKept: false, audio: url });
      } else {
        const hint = "choose the recording again";
        setProblem(problemOf({ detail: "This transcript was not kept: the page was left.", hint }));
      }
    } else {
      const asked = savesBehind(id).then(() => getTranscript(id));
      asked.then(
        (document) => {
          if (!isGone) setLoaded({ document, isKept: true, audio: document.has_audio ? audioAddress(id) : null });
        },
        (error) => !isGone && setProblem(problemOf(error)),
      );
    }
    return () => {
      isGone = true;
      if (url) URL.revokeObjectURL(url);
    };
  }, [id]);
  return { loaded, problem };
}

/** The shape of the recording, null while nobody knows. */
export function usePeaks({ document, isKept }: Loaded): number[] | null {
  const [peaks, setPeaks] = useState<number[] | null>(null);
  const { id, has_audio: hasAudio } = document;
  const file = useMemo(() => (isKept ? null : recall(id)?.file), [id, isKept]);
  useEffect(() => {
    const kept = () => getPeaks(id, PEAKS).catch(() => peaksOfAddress(audioAddress(id), PEAKS));
    const asked = isKept ? (hasAudio ? kept() : null) : file ? peaksOfFile(file, PEAKS) : null;
    asked?.then(setPeaks, () => {});
  }, [id, isKept, hasAudio, file]);
  return peaks;
}
