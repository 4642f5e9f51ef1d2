"use client";

import { useEffect, useRef } from "react";
import { TaggedLine } from "@/components/tagged-line";
import { clock } from "@/lib/format";
import type { LiveText } from "@/lib/recording/live";

/** What has been heard so far: what is certain, then what may still change. */
export function LiveTranscript({ live, isRunning }: { live: LiveText; isRunning: boolean }) {
  const { finals, committed, tentative } = live;
  const end = useRef<HTMLDivElement>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: new text is what it scrolls for
  useEffect(() => {
    end.current?.scrollIntoView({ block: "nearest" });
  }, [finals.length, committed, tentative]);
  const isEmpty = finals.length === 0 && !committed && !tentative;
  return (
    <div role="log" aria-label="Live transcript" className="transcript mt-6 min-h-64">
      {isEmpty && <p className="text-muted">{isRunning ? "Listening…" : ""}</p>}
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
