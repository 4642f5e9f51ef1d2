"use client";

/** The page's one story: no file, a file under way, a transcript or a problem. Knows nothing of how it looks. */

import { useCallback, useEffect, useRef, useState } from "react";
import { getHealth, type Health, type Problem, transcribe } from "@/lib/api";
import { byteSize } from "@/lib/format";
import type { Transcript } from "@/lib/transcript";

export type State =
  | { step: "idle" }
  | { step: "working"; file: File; sent: number }
  | { step: "done"; file: File; transcript: Transcript }
  | { step: "failed"; file: File; problem: Problem };

export function useTranscription() {
  const [state, setState] = useState<State>({ step: "idle" });
  const [health, setHealth] = useState<Health | null>(null);
  const running = useRef<AbortController | null>(null);

  useEffect(() => {
    // A server that does not answer shows itself at the first upload, with a remedy.
    getHealth().then(setHealth, () => {});
    return () => running.current?.abort();
  }, []);

  const start = useCallback(
    async (file: File) => {
      running.current?.abort();
      const controller = new AbortController();
      running.current = controller;
      if (health && file.size > health.max_upload_bytes) {
        const detail = `${file.name} has ${byteSize(file.size)}; this server takes up to ${byteSize(health.max_upload_bytes)}.`;
        setState({ step: "failed", file, problem: { detail, hint: "send a compressed file, or cut it" } });
        return;
      }
      setState({ step: "working", file, sent: 0 });
      const onSent = (sent: number) => {
        if (!controller.signal.aborted) setState({ step: "working", file, sent });
      };
      try {
        const transcript = await transcribe(file, onSent, controller.signal);
        if (!controller.signal.aborted) setState({ step: "done", file, transcript });
      } catch (problem) {
        if (!controller.signal.aborted) setState({ step: "failed", file, problem: problem as Problem });
      }
    },
    [health],
  );

  const reset = useCallback(() => {
    running.current?.abort();
    setState({ step: "idle" });
  }, []);

  return { state, health, start, reset };
}
