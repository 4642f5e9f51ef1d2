"use client";

/** The whole page: its head, the view that the address names, and files that are dropped or pasted anywhere. */

import { domAnimation, LazyMotion, MotionConfig } from "motion/react";
import dynamic from "next/dynamic";
import { useEffect, useRef, useState } from "react";
import { Header } from "@/components/header";
import { KeyPanel } from "@/components/key-panel";
import { Library } from "@/components/library/library";
import { ProblemNotice } from "@/components/problem-notice";
import { Toaster } from "@/components/toaster";
import { goTo, hashOf, type Route, useRoute } from "@/lib/route";
import { useChoices } from "@/lib/store/choices";
import { listTranscripts } from "@/lib/store/library";
import { askServer, useServer } from "@/lib/store/server";
import { addFiles, onFinished } from "@/lib/store/uploads";
import { useGivenFiles } from "@/lib/use-given-files";

// Not needed for the first picture.
const Waiting = () => <div className="min-h-[70dvh]" aria-busy="true" />;
const RecordView = dynamic(() => import("@/components/record/record-view"), { ssr: false, loading: Waiting });
const TranscriptView = dynamic<{ id: string }>(() => import("@/components/editor/transcript-view"), {
  ssr: false,
  loading: Waiting,
});
const RespeakView = dynamic<{ id: string }>(() => import("@/components/respeak/respeak-view"), {
  ssr: false,
  loading: Waiting,
});

export function Studio() {
  const route = useRoute();
  const [isOver, setIsOver] = useState(false);
  const { problem, capabilities, isKeyWanted } = useServer();

  useEffect(() => {
    useChoices.persist.rehydrate();
    askServer();
    onFinished((id, wasOnlyOne) => {
      const isWatching = window.location.hash.replace(/^#?\/?/, "") === "";
      if (wasOnlyOne && isWatching) goTo({ view: "transcript", id });
    });
  }, []);

  useNewView(route);

  useGivenFiles(setIsOver, (files) => {
    if (isKeyWanted) return;
    addFiles(files, { diarize: useChoices.getState().diarize });
    goTo({ view: "library" });
  });

  return (
    <MotionConfig reducedMotion="user">
      <LazyMotion features={domAnimation} strict>
        <button
          type="button"
          onClick={() => document.getElementById("main")?.focus()}
          className="sr-only focus:not-sr-only focus:fixed focus:top-2 focus:left-2 focus:z-50 focus:rounded-lg focus:bg-ink focus:px-4 focus:py-2 focus:text-paper"
        >
          Skip to content
        </button>
        <Header route={route} />
        <main id="main" tabIndex={-1} className="mx-auto w-full max-w-6xl px-4 outline-none sm:px-8">
          {problem && (
            <ProblemNotice title="The Studio has lost its server" problem={problem} className="mb-6">
              <p className="text-muted text-sm">
                {capabilities ? "What you wrote is kept here. " : ""}Asking again every few seconds.
              </p>
            </ProblemNotice>
          )}
          {isKeyWanted && <KeyPanel isAgain={capabilities !== null} onEntered={listTranscripts} />}
          {(capabilities || !isKeyWanted) && <View route={route} isOver={isOver} />}
        </main>
        <Toaster />
      </LazyMotion>
    </MotionConfig>
  );
}

/** A view that is opened begins at its top, and the keyboard goes on in it. */
function useNewView(route: Route | null): void {
  const shown = useRef<string | null>(null);
  const next = route && hashOf(route);
  useEffect(() => {
    if (shown.current !== null && shown.current !== next) {
      window.scrollTo(0, 0);
      document.getElementById("main")?.focus({ preventScroll: true });
    }
    shown.current = next;
  }, [next]);
}

function View({ route, isOver }: { route: Route | null; isOver: boolean }) {
  switch (route?.view) {
    case "record":
      return <RecordView />;
    case "transcript":
      return <TranscriptView key={route.id} id={route.id} />;
    case "respeak":
      return <RespeakView key={route.id} id={route.id} />;
    default:
      return <Library isOver={isOver} />;
  }
}
