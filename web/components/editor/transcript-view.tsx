"use client";

/** One transcript: loads it, and hands it to the workbench. */

import { Workbench } from "@/components/editor/workbench";
import { ProblemNotice } from "@/components/problem-notice";
import { ButtonLink } from "@/components/ui/button";
import { hashOf } from "@/lib/route";
import { useDocument } from "@/lib/use-document";

export default function TranscriptView({ id }: { id: string }) {
  const { loaded, problem } = useDocument(id);
  if (loaded) return <Workbench loaded={loaded} />;
  if (problem) {
    return (
      <ProblemNotice title="This transcript cannot be shown" problem={problem} className="mt-8">
        <ButtonLink size="small" href={hashOf({ view: "library" })}>
          Back to the library
        </ButtonLink>
      </ProblemNotice>
    );
  }
  return <Skeleton />;
}

function Skeleton() {
  return (
    <div aria-busy="true" className="pt-6">
      <span className="sr-only">Loading the transcript</span>
      <div className="skeleton h-9 w-64" />
      <div className="mt-14 flex max-w-3xl flex-col gap-4">
        {[90, 100, 94, 60, 97, 80].map((width) => (
          <div key={width} className="skeleton h-6" style={{ width: `${width}%` }} />
        ))}
      </div>
    </div>
  );
}
