"use client";

import { Check, Copy, Download, Plus } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { Legend } from "@/components/legend";
import { Player } from "@/components/player";
import { TaggedText } from "@/components/tagged-text";
import { Button } from "@/components/ui/button";
import { count, stem } from "@/lib/format";
import { copyText, download } from "@/lib/share";
import type { Transcript } from "@/lib/transcript";

/** How long the copy button says that it copied. */
const COPIED_MS = 2000;

/** One finished transcript with its recording and the ways out: copy, download, the next file. */
export function TranscriptView({
  transcript,
  file,
  onReset,
}: {
  transcript: Transcript;
  file: File;
  onReset: () => void;
}) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), []);
  return (
    <article className="flex flex-col gap-5">
      <header className="flex flex-wrap items-end justify-between gap-x-6 gap-y-3">
        <div className="min-w-0">
          <h1 ref={heading} tabIndex={-1} className="truncate font-medium text-lg outline-none">
            {file.name}
          </h1>
          <p className="text-muted text-sm [overflow-wrap:anywhere]">
            {count(transcript.words.length, "word")} · {count(transcript.tags.length, "tag")} · model {transcript.model}
          </p>
        </div>
        <Button onClick={onReset}>
          <Plus aria-hidden /> New recording
        </Button>
      </header>
      <Player file={file} durationS={transcript.duration_s} />
      <section aria-label="Transcript" className="rounded-xl border border-line bg-sheet">
        <div className="px-5 py-6 sm:px-8 sm:py-8">
          {transcript.text ? (
            <TaggedText transcript={transcript} />
          ) : (
            <p className="font-serif text-muted text-xl italic">Nothing was said in this recording.</p>
          )}
        </div>
        <footer className="flex flex-wrap items-center justify-between gap-4 border-line border-t px-5 py-4 sm:px-8">
          <Legend transcript={transcript} />
          <div className="flex gap-2">
            <CopyButton text={transcript.text} />
            <Button
              onClick={() =>
                download(`${stem(file.name)}.json`, JSON.stringify(transcript, null, 2), "application/json")
              }
            >
              <Download aria-hidden /> JSON
            </Button>
          </div>
        </footer>
      </section>
    </article>
  );
}

function CopyButton({ text }: { text: string }) {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), COPIED_MS);
    return () => clearTimeout(timer);
  }, [copied]);
  return (
    <Button onClick={async () => setCopied(await copyText(text))}>
      {copied ? <Check aria-hidden /> : <Copy aria-hidden />}
      <span aria-live="polite">{copied ? "Copied" : "Copy text"}</span>
    </Button>
  );
}
