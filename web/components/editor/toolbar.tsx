"use client";

import { AudioLines, Brackets, Info, Keyboard, MoreHorizontal, Redo2, Search, Trash2, Undo2 } from "lucide-react";
import { type ReactNode, useState } from "react";
import { ExportMenu } from "@/components/editor/export-menu";
import type { Bench } from "@/components/editor/use-workbench";
import type { Sheet } from "@/components/editor/workbench";
import { DeleteDialog } from "@/components/library/history";
import { Button, ButtonLink } from "@/components/ui/button";
import { Menu, MenuItem } from "@/components/ui/menu";
import { Tooltip } from "@/components/ui/tooltip";
import type { SaveState } from "@/lib/editor/saver";
import { goTo, hashOf } from "@/lib/route";
import type { Loaded } from "@/lib/use-document";
import { useEditorState } from "@/lib/use-editor";
import { cn } from "@/lib/utils";

export function Toolbar({
  loaded,
  bench,
  isEditing,
  setEditing,
  setSheet,
}: {
  loaded: Loaded;
  bench: Bench;
  isEditing: boolean;
  setEditing: (isEditing: boolean) => void;
  setSheet: (sheet: Sheet) => void;
}) {
  const { editor, save, name, rename, saver } = bench;
  const { document, isKept } = loaded;
  const [isLeaving, setLeaving] = useState(false);
  useEditorState(editor);
  const insertTag = () => {
    editor.view?.focus();
    editor.dispatch(editor.state.tr.insertText("["));
  };
  return (
    <div className="sticky top-0 z-20 flex flex-wrap items-center gap-x-4 gap-y-2 border-line border-b bg-paper py-2.5">
      <div className="flex min-w-0 flex-1 basis-64 items-center gap-3">
        <h1 className="min-w-0 flex-1 font-serif text-2xl">
          <input
            aria-label="Name of this transcript"
            className="field-sizing-content -mx-2 w-full min-w-24 max-w-full truncate rounded-md px-2 py-0.5 hover:bg-ink/5 focus:bg-sheet sm:w-auto"
            value={name}
            spellCheck={false}
            onChange={({ target }) => rename(target.value)}
          />
        </h1>
        <SaveNote save={save} isKept={isKept} />
      </div>
      <div
        role="toolbar"
        aria-label="Transcript"
        className="flex w-full flex-wrap items-center gap-x-1 gap-y-2 sm:w-auto"
      >
        <fieldset className="mr-auto flex sm:mr-2 rounded-lg bg-well p-0.5">
          <legend className="sr-only">Mode</legend>
          <ModeButton isOn={!isEditing} onClick={() => setEditing(false)}>
            Read
          </ModeButton>
          <ModeButton isOn={isEditing} onClick={() => setEditing(true)}>
            Edit
          </ModeButton>
        </fieldset>
        <IconButton label="Undo" keys="Ctrl Z" disabled={!editor.canUndo} onClick={() => editor.undo()}>
          <Undo2 aria-hidden />
        </IconButton>
        <IconButton label="Redo" keys="Ctrl Shift Z" disabled={!editor.canRedo} onClick={() => editor.redo()}>
          <Redo2 aria-hidden />
        </IconButton>
        <IconButton label="Insert a tag" keys="[" disabled={!isEditing} onClick={insertTag}>
          <Brackets aria-hidden />
        </IconButton>
        <IconButton label="Find and replace" keys="Ctrl F" onClick={() => setSheet("find")}>
          <Search aria-hidden />
        </IconButton>
        <Menu
          trigger={
            <Button variant="ghost" size="small-icon" aria-label="More">
              <MoreHorizontal aria-hidden />
            </Button>
          }
        >
          <MenuItem className="lg:hidden" onSelect={() => setSheet("about")}>
            <Info aria-hidden />
            Tags, speakers, details
          </MenuItem>
          <MenuItem onSelect={() => setSheet("help")}>
            <Keyboard aria-hidden />
            Keyboard
          </MenuItem>
          <MenuItem onSelect={() => setLeaving(true)}>
            <Trash2 aria-hidden />
            Delete
          </MenuItem>
        </Menu>
        <div className="flex w-full gap-2 *:flex-1 sm:w-auto sm:gap-1">
          <ExportMenu loaded={loaded} editor={editor} saver={saver} name={name} />
          {isKept && (
            <ButtonLink size="small" variant="solid" href={hashOf({ view: "respeak", id: document.id })}>
              <AudioLines aria-hidden />
              Re-speak
            </ButtonLink>
          )}
        </div>
      </div>
      <DeleteDialog
        item={isLeaving ? { id: document.id, name } : null}
        onClose={() => setLeaving(false)}
        onDeleted={() => goTo({ view: "library" })}
      />
    </div>
  );
}

function ModeButton({ isOn, onClick, children }: { isOn: boolean; onClick: () => void; children: ReactNode }) {
  return (
    <button
      type="button"
      aria-pressed={isOn}
      onClick={onClick}
      className={cn(
        "h-7 rounded-md px-3 font-medium text-muted text-sm transition-colors",
        isOn && "bg-sheet text-ink dark:bg-line shadow-[0_1px_2px_oklch(0.2_0_0/0.12)]",
      )}
    >
      {children}
    </button>
  );
}

function IconButton({
  label,
  keys,
  children,
  ...props
}: {
  label: string;
  keys?: string;
  disabled?: boolean;
  onClick: () => void;
  children: ReactNode;
}) {
  return (
    <Tooltip text={label} {...(keys && { keys })}>
      <Button variant="ghost" size="small-icon" aria-label={label} {...props}>
        {children}
      </Button>
    </Tooltip>
  );
}

const NOTES: Record<SaveState["step"], string> = {
  saved: "Saved",
  changed: "Changed",
  saving: "Saving…",
  offline: "Offline: saved when the server is back",
  failed: "Not saved",
  conflict: "Not saved",
};

function SaveNote({ save, isKept }: { save: SaveState; isKept: boolean }) {
  const text = !isKept && save.step === "saved" ? "Not kept" : NOTES[save.step];
  return (
    <span role="status" className={cn("shrink-0 text-muted text-sm", save.step === "failed" && "text-danger")}>
      {text}
    </span>
  );
}
