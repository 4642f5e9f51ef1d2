"use client";

/** A transcript on the desk: its text, what is known of it, its sound, and all that can be done with it. */

import { useState } from "react";
import { ConflictDialog } from "@/components/editor/conflict-dialog";
import { Dock, type Passage } from "@/components/editor/dock";
import { FindBar } from "@/components/editor/find-bar";
import { HelpDialog } from "@/components/editor/help-dialog";
import { Margin } from "@/components/editor/margin";
import { SpeakerMenu } from "@/components/editor/speaker-menu";
import { TagPalette } from "@/components/editor/tag-palette";
import { Toolbar } from "@/components/editor/toolbar";
import { TranscriptText } from "@/components/editor/transcript-text";
import { useShortcuts } from "@/components/editor/use-shortcuts";
import { useWorkbench } from "@/components/editor/use-workbench";
import { ProblemNotice } from "@/components/problem-notice";
import { Button } from "@/components/ui/button";
import { Dialog } from "@/components/ui/dialog";
import type { Loaded } from "@/lib/use-document";

export type Sheet = "none" | "find" | "help" | "about";

export function Workbench({ loaded }: { loaded: Loaded }) {
  const bench = useWorkbench(loaded);
  const { editor, player, save, saver } = bench;
  const [sheet, setSheet] = useState<Sheet>("none");
  const [isEditing, setIsEditing] = useState(false);
  const [passage, setPassage] = useState<Passage | null>(null);
  /** At once, so that the caret is where it belongs before anything is clicked or typed. */
  const setEditing = (next: boolean) => {
    editor.setEditable(next);
    if (next) editor.view?.focus();
    else editor.view?.dom.blur();
    setIsEditing(next);
  };
  useShortcuts({ editor, player, saver, isEditing, setEditing, setSheet });

  const { transcript } = loaded.document;
  const isSilent = transcript.segments.length === 0;
  return (
    <article aria-label={bench.name} className="pb-56">
      <Toolbar loaded={loaded} bench={bench} isEditing={isEditing} setEditing={setEditing} setSheet={setSheet} />
      {sheet === "find" && <FindBar editor={editor} isEditing={isEditing} onClose={() => setSheet("none")} />}
      {save.step === "failed" && (
        <ProblemNotice title="Your last changes are not saved" problem={save.problem} className="mt-4">
          <Button size="small" onClick={() => saver.flush()}>
            Save again
          </Button>
        </ProblemNotice>
      )}
      <div className="mt-8 grid gap-x-14 lg:grid-cols-[minmax(0,1fr)_15rem]">
        <section aria-label="Transcript" className="min-w-0 max-w-3xl">
          {isSilent ? (
            <p className="font-serif text-muted text-xl">Nothing was said in this recording.</p>
          ) : (
            <TranscriptText editor={editor} onEdit={() => setEditing(true)} />
          )}
        </section>
        <aside aria-label="About this transcript" className="hidden lg:block">
          <div className="sticky top-24">
            <Margin loaded={loaded} editor={editor} />
          </div>
        </aside>
      </div>
      {loaded.audio && (
        <Dock loaded={loaded} editor={editor} player={player} passage={passage} setPassage={setPassage} />
      )}
      {isEditing && <TagPalette editor={editor} />}
      <SpeakerMenu editor={editor} choice={bench.speakerChoice} onClose={() => bench.setSpeakerChoice(null)} />
      <HelpDialog open={sheet === "help"} onClose={() => setSheet("none")} />
      <Dialog open={sheet === "about"} onOpenChange={() => setSheet("none")} title="About this transcript">
        <Margin loaded={loaded} editor={editor} />
      </Dialog>
      {save.step === "conflict" && <ConflictDialog current={save.current} bench={bench} />}
    </article>
  );
}
