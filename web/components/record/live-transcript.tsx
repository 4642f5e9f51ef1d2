"use client";

import { useEffect, useRef } from "react";
import { TagChip } from "@/components/tag-chip";
import { TaggedLine } from "@/components/tagged-line";
import { clock } from "@/lib/format";
import type { LiveText } from "@/lib/recording/live";

/** What has been heard so far: what is certain, then what may still change. */
export function LiveTranscript({ live, isRunning }: { live: LiveText; isRunning: boolean }) {
  const { finals, committed, tentative } = live;
  const isEmpty = finals.length === 0 && !committed && !tentative;
  const end = useRef<HTMLDivElement>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: new text is what it scrolls for
  useEffect(() => {
    if (!isEmpty) end.current?.scrollIntoView({ block: "nearest" });
  }, [finals.length, committed, tentative]);
  return (
    <div role="log" aria-label="Live transcript" className="transcript mt-6 min-h-64">
      {isEmpty && isRunning && <p className="text-muted">Listening…</p>}
      {isEmpty && !isRunning && (
        <p
          aria-hidden
          className="grid min-h-64 place-items-center rounded-2xl border border-line border-dashed px-6 text-center text-lg text-muted"
        >
          <span>
            Your words appear here, and how you say them: <TagChip name="laughs" category="non-verbal" /> as a sound,{" "}
            <span className="stressed text-ink">LOUD</span> as a stress.
          </span>
        </p>
      )}
      {finals.map(({ id, startS, text }) => (
        <div key={id} className="segment">
          <div className="segment-margin">
            <span className="text-muted tabular-nums">{clock(startS)}</span>
          </div>
          <p>
            <TaggedLine text={text} />
          </p>
        </div>
      ))}
      {(committed || tentative) && (
        <div className="segment">
          <div className="segment-margin" />
          <p>
            <span data-live="committed">
              <TaggedLine text={committed} />
            </span>{" "}
            <span data-live="tentative" className="tentative">
              {tentative}
            </span>
          </p>
        </div>
      )}
      <div ref={end} />
    </div>
  );
}
