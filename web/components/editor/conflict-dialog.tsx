"use client";

import type { Bench } from "@/components/editor/use-workbench";
import { Button } from "@/components/ui/button";
import { Dialog } from "@/components/ui/dialog";
import type { TranscriptDocument } from "@/lib/api/types";
import { segmentsOf } from "@/lib/editor/document";
import { dayOf } from "@/lib/format";
import { copyText } from "@/lib/share";

/** Two people changed the same transcript: one of the two texts goes on. */
export function ConflictDialog({ current, bench }: { current: TranscriptDocument; bench: Bench }) {
  const { editor, saver, takeTheirs } = bench;
  const mine = segmentsOf(editor.state.doc).map(({ text }) => text);
  return (
    <Dialog
      open
      onOpenChange={() => {}}
      title="Changed in two places"
      description={`Version ${current.version} was saved elsewhere (${dayOf(current.updated_at)}) while you wrote here. Which text goes on?`}
      className="sm:w-[44rem]"
    >
      <div className="grid gap-4 sm:grid-cols-2">
        <Text title="Yours" text={mine.join(" ")} />
        <Text title="Theirs" text={current.transcript.text} />
      </div>
      <div className="mt-5 flex flex-wrap justify-end gap-3">
        <Button
          onClick={async () => {
            await copyText(mine.join("\n\n")); // so that nothing which was written is lost
            takeTheirs();
          }}
        >
          Take theirs, copy mine
        </Button>
        <Button variant="solid" onClick={() => saver.keepMine()}>
          Keep mine
        </Button>
      </div>
    </Dialog>
  );
}

function Text({ title, text }: { title: string; text: string }) {
  return (
    <section aria-label={title}>
      <h3 className="mb-1 font-semibold text-sm">{title}</h3>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a place that scrolls must be reached by the keyboard */}
      <p tabIndex={0} className="max-h-52 overflow-y-auto rounded-lg bg-well p-3 font-serif leading-relaxed">
        {text}
      </p>
    </section>
  );
}
