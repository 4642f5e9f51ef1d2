"use client";

import { AnimatePresence, MotionConfig, motion } from "motion/react";
import { DropZone } from "@/components/drop-zone";
import { Legend } from "@/components/legend";
import { ProblemNotice } from "@/components/problem-notice";
import { TaggedText } from "@/components/tagged-text";
import { ThemeToggle } from "@/components/theme-toggle";
import { TranscriptView } from "@/components/transcript-view";
import { Working } from "@/components/working";
import { SPECIMEN } from "@/lib/specimen";
import { useTranscription } from "@/lib/use-transcription";

/** The page: one recording at a time, from the empty desk to its transcript. */
export function Studio() {
  const { state, health, start, reset } = useTranscription();
  return (
    <MotionConfig reducedMotion="user">
      <div className="mx-auto flex min-h-dvh max-w-4xl flex-col px-4 sm:px-8">
        <header className="flex items-center justify-between gap-6 py-5">
          <p className="font-medium font-serif text-xl">
            <span aria-hidden className="text-emotion">
              [
            </span>
            evoxtral
            <span aria-hidden className="text-emotion">
              ]
            </span>
          </p>
          <div className="flex min-w-0 items-center gap-2">
            {health && <span className="truncate text-muted text-sm">model {health.model}</span>}
            <ThemeToggle />
          </div>
        </header>
        <main className="flex-1 pt-4 pb-16 sm:pt-10">
          <AnimatePresence mode="wait" initial={false}>
            <motion.div
              key={state.step}
              initial={{ opacity: 0, y: 10 }}
              animate={{ opacity: 1, y: 0 }}
              exit={{ opacity: 0, y: -6 }}
              transition={{ duration: 0.2 }}
            >
              {state.step === "idle" && <Welcome maxBytes={health?.max_upload_bytes} onFile={start} />}
              {state.step === "working" && <Working name={state.file.name} sent={state.sent} onCancel={reset} />}
              {state.step === "done" && (
                <TranscriptView transcript={state.transcript} file={state.file} onReset={reset} />
              )}
              {state.step === "failed" && (
                <ProblemNotice problem={state.problem} onRetry={() => start(state.file)} onReset={reset} />
              )}
            </motion.div>
          </AnimatePresence>
        </main>
      </div>
    </MotionConfig>
  );
}

function Welcome({ maxBytes, onFile }: { maxBytes: number | undefined; onFile: (file: File) => void }) {
  return (
    <div className="flex flex-col gap-10">
      <div>
        <h1 className="text-balance font-serif text-4xl leading-tight sm:text-5xl">
          Read <em>how</em> it was said.
        </h1>
        <p className="mt-3 max-w-xl text-lg text-muted">
          Evoxtral writes down the words of a recording together with their delivery, as tags that a speech engine can
          perform again.
        </p>
      </div>
      <DropZone maxBytes={maxBytes} onFile={onFile} />
      <section aria-label="Example" className="flex flex-col gap-4 border-line border-t pt-6">
        <TaggedText transcript={SPECIMEN} />
        <Legend />
      </section>
    </div>
  );
}
