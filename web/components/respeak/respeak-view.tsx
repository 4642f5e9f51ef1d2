"use client";

/** A transcript spoken again, beside the recording that it was heard in. */

import { ArrowLeft } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { ProblemNotice } from "@/components/problem-notice";
import { Chooser } from "@/components/respeak/chooser";
import { Comparison } from "@/components/respeak/comparison";
import { ButtonLink } from "@/components/ui/button";
import { getRespeaks, type RespeakChoices, respeak } from "@/lib/api/client";
import { isAbort, type ProblemError, problemOf } from "@/lib/api/problem";
import { hashOf } from "@/lib/route";
import { showLast, showRespeak, useRespeaks } from "@/lib/store/respeaks";
import { type Loaded, useDocument } from "@/lib/use-document";

export default function RespeakView({ id }: { id: string }) {
  const { loaded, problem } = useDocument(id);
  return (
    <div className="pb-24">
      <ButtonLink size="small" variant="ghost" className="-ml-2.5 mt-2" href={hashOf({ view: "transcript", id })}>
        <ArrowLeft aria-hidden />
        Transcript
      </ButtonLink>
      {problem && <ProblemNotice title="This transcript cannot be spoken" problem={problem} className="mt-6" />}
      {loaded && !loaded.isKept && (
        <ProblemNotice
          title="This transcript cannot be spoken here"
          problem={{ detail: "The server keeps no transcripts.", hint: "start it without --no-store" }}
          className="mt-6"
        />
      )}
      {loaded?.isKept && <Desk loaded={loaded} />}
    </div>
  );
}

function Desk({ loaded }: { loaded: Loaded }) {
  const { id, name } = loaded.document;
  const spoken = useRespeaks((all) => all[id]);
  const [isBusy, setBusy] = useState(false);
  const [problem, setProblem] = useState<ProblemError | null>(null);
  const running = useRef<AbortController | null>(null);
  useEffect(() => {
    // What was spoken before is there at once.
    getRespeaks(id).then(
      ([last]) => last && showLast(id, last),
      () => {},
    );
    return () => running.current?.abort();
  }, [id]);

  const speak = async (choices: RespeakChoices) => {
    running.current = new AbortController();
    setBusy(true);
    setProblem(null);
    try {
      showRespeak(id, await respeak(id, choices, running.current.signal));
    } catch (error) {
      if (!isAbort(error)) setProblem(problemOf(error));
    }
    setBusy(false);
  };

  return (
    <>
      <h1 className="mt-3 text-balance font-serif text-3xl">{name}, spoken again</h1>
      <p className="mt-1.5 text-muted">Only the sentences that changed since the last time are spoken anew.</p>
      <Chooser
        isBusy={isBusy}
        isAgain={spoken !== undefined}
        onSpeak={speak}
        onCancel={() => running.current?.abort()}
      />
      {problem && <ProblemNotice title="It could not be spoken" problem={problem} className="mt-6" />}
      {spoken && <Comparison key={spoken.respeak.id} loaded={loaded} spoken={spoken} />}
      {!spoken && !problem && <Placeholder isBusy={isBusy} />}
    </>
  );
}

/** Where the comparison will stand. */
function Placeholder({ isBusy }: { isBusy: boolean }) {
  return (
    <div className="mt-8 grid min-h-72 place-items-center rounded-2xl border border-line border-dashed px-6 text-center">
      <p className="max-w-md font-serif text-lg text-muted">
        {isBusy
          ? "Speaking. A long recording takes a while; nothing is lost if you wait."
          : "Choose who speaks. You will hear both, switch between them at the same word, and see how much of the delivery came through."}
      </p>
    </div>
  );
}
