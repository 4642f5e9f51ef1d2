"use client";

/** What is known of a transcript, beside it: its tags and what they mean, its speakers, where it comes from. */

import { Merge } from "lucide-react";
import { TextSelection } from "prosemirror-state";
import { type ReactNode, useMemo } from "react";
import { TagShape } from "@/components/tag-chip";
import { Button } from "@/components/ui/button";
import { Menu, MenuItem, MenuLabel } from "@/components/ui/menu";
import { CATEGORIES } from "@/lib/categories";
import { mergeSpeakers, renameSpeaker } from "@/lib/editor/commands";
import { speakerLabel, speakerNamesOf, speakersOf } from "@/lib/editor/document";
import type { TranscriptEditor } from "@/lib/editor/editor";
import { nextPosition, tallyOf } from "@/lib/editor/tally";
import { wordsOf } from "@/lib/editor/words";
import { clock, dayOf } from "@/lib/format";
import type { Loaded } from "@/lib/use-document";
import { useEditorState } from "@/lib/use-editor";

export function Margin({ loaded, editor }: { loaded: Loaded; editor: TranscriptEditor }) {
  const state = useEditorState(editor);
  const words = wordsOf(state);
  const tally = useMemo(() => tallyOf(state.doc, words), [state.doc, words]);
  const speakers = useMemo(() => speakersOf(state.doc), [state.doc]);
  const { transcript, updated_at: updatedAt } = loaded.document;

  const goToNext = (positions: readonly number[]) => {
    const next = nextPosition(positions, state.selection.from);
    if (next === undefined) return;
    editor.dispatch(state.tr.setSelection(TextSelection.create(state.doc, next)));
    const place = editor.view?.domAtPos(next + 1).node;
    const element = place instanceof Element ? place : place?.parentElement;
    element?.scrollIntoView({ block: "center", behavior: "smooth" });
  };

  const shown = CATEGORIES.filter(({ id }) => tally.tags[id].length > 0);
  return (
    <div className="flex flex-col gap-8 text-sm">
      <Part title="How it was said">
        {shown.length === 0 && tally.stressed.length === 0 && <p className="text-muted">No tags</p>}
        <ul aria-label="What the colours mean" className="-mx-2 flex flex-col">
          {shown.map(({ id, label, meaning }) => (
            <Entry key={id} label={label} meaning={meaning} positions={tally.tags[id]} onGo={goToNext}>
              <TagShape category={id} />
            </Entry>
          ))}
          {tally.stressed.length > 0 && (
            <Entry label="Stress" meaning="a stressed word" positions={tally.stressed} onGo={goToNext}>
              <span aria-hidden className="stressed font-serif text-xs">
                AB
              </span>
            </Entry>
          )}
          {tally.unsure.length > 0 && (
            <Entry label="Unsure" meaning="hardly understood" positions={tally.unsure} onGo={goToNext}>
              <span aria-hidden className="unsure w-3 self-center" />
            </Entry>
          )}
        </ul>
      </Part>
      {speakers.length > 0 && (
        <Part title="Speakers">
          <ul className="flex flex-col gap-1">
            {speakers.map((speaker, index) => (
              <Speaker key={speaker} speaker={speaker} number={(index % 6) + 1} all={speakers} editor={editor} />
            ))}
          </ul>
        </Part>
      )}
      <Part title="Recording">
        <dl className="grid grid-cols-[auto_1fr] gap-x-4 gap-y-1 text-muted">
          <dt>Length</dt>
          <dd className="text-ink">{clock(transcript.duration_s)}</dd>
          <dt>Words</dt>
          <dd className="text-ink">{words.length.toLocaleString("en")}</dd>
          <dt>Language</dt>
          <dd className="text-ink">{languageName(transcript.language)}</dd>
          <dt>Model</dt>
          <dd className="break-words text-ink">{transcript.model}</dd>
          <dt>Changed</dt>
          <dd className="text-ink">{dayOf(updatedAt)}</dd>
        </dl>
        {(transcript.notes ?? []).map((note) => (
          <p key={note} className="mt-3 rounded-lg bg-well p-2.5">
            {note}
          </p>
        ))}
      </Part>
    </div>
  );
}

function languageName(code: string): string {
  try {
    return new Intl.DisplayNames("en", { type: "language" }).of(code) ?? code;
  } catch {
    return code;
  }
}

function Part({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section aria-label={title}>
      <h2 className="mb-2 font-semibold text-[0.8125rem]">{title}</h2>
      {children}
    </section>
  );
}

function Entry({
  label,
  meaning,
  positions,
  onGo,
  children,
}: {
  label: string;
  meaning: string;
  positions: readonly number[];
  onGo: (positions: readonly number[]) => void;
  children: ReactNode;
}) {
  return (
    <li>
      <button
        type="button"
        title={`Go to the next: ${meaning}`}
        onClick={() => onGo(positions)}
        className="flex w-full items-center gap-2.5 rounded-md px-2 py-1 text-left hover:bg-ink/5"
      >
        <span className="flex w-4 justify-center">{children}</span>
        <span>{label}</span>
        <span className="truncate text-muted max-lg:inline lg:hidden xl:inline">{meaning}</span>
        <span className="ml-auto tabular-nums">{positions.length.toLocaleString("en")}</span>
      </button>
    </li>
  );
}

function Speaker({
  speaker,
  number,
  all,
  editor,
}: {
  speaker: string;
  number: number;
  all: readonly string[];
  editor: TranscriptEditor;
}) {
  const names = speakerNamesOf(editor.state.doc);
  const label = speakerLabel(speaker, names);
  const rename = (name: string) => {
    if (name.trim() !== (names[speaker] ?? "")) editor.dispatch(renameSpeaker(editor.state, speaker, name));
  };
  return (
    <li className="flex items-center gap-1">
      <span aria-hidden data-speaker={number} className="size-2.5 shrink-0 rounded-[3px] bg-(--speaker)" />
      <input
        aria-label={`Name of ${label}`}
        className="min-w-0 flex-1 truncate rounded-md px-1.5 py-1 placeholder:text-ink hover:bg-ink/5 focus:bg-sheet focus:placeholder:text-muted"
        placeholder={speakerLabel(speaker, {})}
        key={names[speaker] ?? ""}
        defaultValue={names[speaker] ?? ""}
        onBlur={({ target }) => rename(target.value)}
        onKeyDown={({ key, currentTarget }) => key === "Enter" && currentTarget.blur()}
      />
      {all.length > 1 && (
        <Menu
          trigger={
            <Button variant="ghost" size="small-icon" aria-label={`Merge ${label} into another speaker`}>
              <Merge aria-hidden />
            </Button>
          }
        >
          <MenuLabel>{label} is the same as</MenuLabel>
          {all
            .filter((other) => other !== speaker)
            .map((other) => (
              <MenuItem key={other} onSelect={() => editor.dispatch(mergeSpeakers(editor.state, speaker, other))}>
                {speakerLabel(other, names)}
              </MenuItem>
            ))}
        </Menu>
      )}
    </li>
  );
}
