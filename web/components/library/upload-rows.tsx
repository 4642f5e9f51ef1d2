"use client";

import { AnimatePresence } from "motion/react";
import * as m from "motion/react-m";
import { useEffect, useRef, useState } from "react";
import { ProblemNotice } from "@/components/problem-notice";
import { Button } from "@/components/ui/button";
import { clock, count } from "@/lib/format";
import { cancel, canRetry, dismiss, retry, type Upload, useUploads } from "@/lib/store/uploads";
import { timeLeftS, timeLeftText } from "@/lib/time-left";
import { cn } from "@/lib/utils";

/** So many are shown with what is being heard in them. */
const FEW = 3;

/** The recordings under way, and those that could not be transcribed. */
export function UploadRows() {
  const { uploads } = useUploads();
  // By how many there were at most, so that the last ones do not change their shape.
  const most = useRef(0);
  most.current = uploads.length === 0 ? 0 : Math.max(most.current, uploads.length);
  const areMany = most.current > FEW;
  return (
    <AnimatePresence initial={false}>
      {uploads.length > 0 && (
        <m.section aria-label="Under way" className="mt-8" exit={{ opacity: 0 }}>
          {areMany && (
            <div className="mb-3 flex min-h-8 items-center justify-between gap-4">
              <h2 className="font-serif text-2xl">{count(uploads.length, "recording")} under way</h2>
              <Button size="small" variant="ghost" onClick={() => uploads.map(({ key }) => cancel(key))}>
                Cancel all
              </Button>
            </div>
          )}
          <ul className={cn("flex flex-col", areMany ? "gap-2" : "gap-3")}>
            {uploads.map((upload) => (
              <li key={upload.key}>
                {upload.step === "failed" ? <Failed upload={upload} /> : <Row upload={upload} isCompact={areMany} />}
              </li>
            ))}
          </ul>
        </m.section>
      )}
    </AnimatePresence>
  );
}

function Failed({ upload: { key, name, problem } }: { upload: Upload }) {
  return (
    <ProblemNotice title={`Could not transcribe ${name}`} problem={problem ?? { detail: "Nobody knows why." }}>
      {canRetry(key) && (
        <Button size="small" onClick={() => retry(key)}>
          Try again
        </Button>
      )}
      <Button size="small" variant="ghost" onClick={() => dismiss(key)}>
        Dismiss
      </Button>
    </ProblemNotice>
  );
}

function Row({ upload, isCompact }: { upload: Upload; isCompact: boolean }) {
  const { key, name, step, sent, doneS, totalS, heard } = upload;
  const share = step === "sending" ? sent : step === "listening" && totalS ? doneS / totalS : null;
  return (
    <div className={cn("rounded-xl border border-line bg-sheet", isCompact ? "px-4 py-2.5" : "p-4")}>
      <div className="flex items-center gap-4">
        <Bars isMoving={step === "listening"} />
        <div className="min-w-0 flex-1">
          <p className="truncate font-medium">{name}</p>
          <p role="status" className="truncate text-muted text-sm">
            <Doing upload={upload} />
          </p>
        </div>
        <Button size="small" onClick={() => cancel(key)} aria-label={`Cancel ${name}`}>
          Cancel
        </Button>
      </div>
      <div
        role="progressbar"
        aria-label={step === "sending" ? "Upload" : "Transcription"}
        aria-valuemin={0}
        aria-valuemax={100}
        {...(share !== null && { "aria-valuenow": Math.round(share * 100) })}
        className={cn("h-1 overflow-hidden rounded-full bg-well", isCompact ? "mt-2" : "mt-3")}
      >
        <div
          className="h-full origin-left bg-accent transition-transform duration-500"
          style={{ transform: `scaleX(${share ?? 0})` }}
        />
      </div>
      {!isCompact && (
        <p aria-hidden className="mt-2 h-6 truncate font-serif text-muted">
          {heard}
        </p>
      )}
    </div>
  );
}

function Doing({ upload: { step, sent, doneS, totalS, listeningSince } }: { upload: Upload }) {
  const now = useNow(step === "listening");
  if (step === "waiting") return "Waiting for its turn";
  if (step === "sending") return `Sending, ${Math.round(sent * 100)} %`;
  if (listeningSince === null) return "Waiting for the model";
  const leftS = timeLeftS(doneS, totalS, (now - listeningSince) / 1000);
  const of = totalS ? ` of ${clock(totalS)}` : "";
  return `Listening, ${clock(doneS)}${of}${leftS === null ? "" : ` · ${timeLeftText(leftS)}`}`;
}

function useNow(isRunning: boolean): number {
  const [now, setNow] = useState(() => performance.now());
  useEffect(() => {
    if (!isRunning) return;
    const timer = setInterval(() => setNow(performance.now()), 1000);
    return () => clearInterval(timer);
  }, [isRunning]);
  return now;
}

const BARS = [0.5, 1, 0.65, 0.85];

function Bars({ isMoving }: { isMoving: boolean }) {
  return (
    <div aria-hidden className="flex h-6 w-6 items-center gap-1">
      {BARS.map((height) => (
        <m.span
          key={height}
          className="h-full w-[3px] rounded-full bg-accent"
          initial={{ scaleY: 0.25 }}
          animate={isMoving ? { scaleY: [0.25, height, 0.25] } : { scaleY: 0.25 }}
          transition={{ duration: 1.1, repeat: isMoving ? Number.POSITIVE_INFINITY : 0, delay: height * 0.3 }}
        />
      ))}
    </div>
  );
}
