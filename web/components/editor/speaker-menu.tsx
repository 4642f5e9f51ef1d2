"use client";

import { Popover } from "radix-ui";
import type { SpeakerChoice } from "@/components/editor/use-workbench";
import { newSpeaker, setSpeaker } from "@/lib/editor/commands";
import { speakerLabel, speakerNamesOf, speakersOf } from "@/lib/editor/document";
import type { TranscriptEditor } from "@/lib/editor/editor";
import { segmentOf } from "@/lib/editor/schema";

/** Who speaks one segment: opened by pressing the name beside it. */
export function SpeakerMenu({
  editor,
  choice,
  onClose,
}: {
  editor: TranscriptEditor;
  choice: SpeakerChoice | null;
  onClose: () => void;
}) {
  if (!choice) return null;
  const { doc } = editor.state;
  const node = doc.nodeAt(choice.segmentStart);
  const speakers = speakersOf(doc);
  const names = speakerNamesOf(doc);
  const choose = (speaker: string) => {
    editor.dispatch(setSpeaker(editor.state, choice.segmentStart, speaker));
    onClose();
  };
  const item =
    "rounded-md px-2.5 py-1.5 text-left text-sm hover:bg-ink/7 aria-pressed:font-semibold aria-pressed:bg-ink/5";
  return (
    <Popover.Root open onOpenChange={(open) => !open && onClose()}>
      <Popover.Anchor virtualRef={{ current: choice.anchor }} />
      <Popover.Portal>
        <Popover.Content
          align="start"
          sideOffset={4}
          collisionPadding={8}
          aria-label="Who speaks here"
          className="z-50 flex min-w-44 flex-col rounded-xl border border-line bg-sheet p-1.5 shadow-raised"
        >
          <p className="px-2.5 py-1 font-medium text-muted text-xs">Who speaks here</p>
          {speakers.map((speaker) => (
            <button
              key={speaker}
              type="button"
              aria-pressed={node !== null && segmentOf(node).speaker === speaker}
              className={item}
              onClick={() => choose(speaker)}
            >
              {speakerLabel(speaker, names)}
            </button>
          ))}
          <button type="button" className={item} onClick={() => choose(newSpeaker(speakers))}>
            Somebody else
          </button>
        </Popover.Content>
      </Popover.Portal>
    </Popover.Root>
  );
}
