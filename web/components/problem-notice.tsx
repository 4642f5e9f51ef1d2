"use client";

import { TriangleAlert } from "lucide-react";
import { useEffect, useRef } from "react";
import { Button } from "@/components/ui/button";
import type { Problem } from "@/lib/api";

/** What went wrong and what to do; takes the focus so that keyboard and screen reader are where the news is. */
export function ProblemNotice(props: { problem: Problem; onRetry: () => void; onReset: () => void }) {
  const { problem, onRetry, onReset } = props;
  const notice = useRef<HTMLDivElement>(null);
  useEffect(() => notice.current?.focus(), []);
  return (
    <div ref={notice} role="alert" tabIndex={-1} className="rounded-xl bg-danger-soft p-6 outline-none sm:p-8">
      <p className="flex items-center gap-2 font-medium text-danger text-sm">
        <TriangleAlert aria-hidden className="size-4" />
        Could not transcribe this recording
      </p>
      <p className="mt-3 font-serif text-xl leading-snug [overflow-wrap:anywhere]">{problem.detail}</p>
      {problem.hint && <p className="mt-2 text-sm [overflow-wrap:anywhere]">What to do: {problem.hint}.</p>}
      <div className="mt-6 flex flex-wrap items-center gap-3">
        <Button variant="solid" onClick={onReset}>
          Choose another file
        </Button>
        <Button onClick={onRetry}>Try again</Button>
      </div>
    </div>
  );
}
