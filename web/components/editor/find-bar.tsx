"use client";

import { ChevronDown, ChevronUp, X } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { Button } from "@/components/ui/button";
import { TextField } from "@/components/ui/field";
import { Switch } from "@/components/ui/switch";
import type { TranscriptEditor } from "@/lib/editor/editor";
import { findOf, replaceAll, replaceMatch, setSearch, stepMatch } from "@/lib/editor/find";
import { useServer } from "@/lib/store/server";
import { useEditorState } from "@/lib/use-editor";

export function FindBar({
  editor,
  isEditing,
  onClose,
}: {
  editor: TranscriptEditor;
  isEditing: boolean;
  onClose: () => void;
}) {
  const [replacement, setReplacement] = useState("");
  const field = useRef<HTMLInputElement>(null);
  const { search, matches, index } = findOf(useEditorState(editor));
  const vocabulary = useServer(({ capabilities }) => capabilities?.tags ?? []);

  useEffect(() => {
    field.current?.select();
    return () => editor.dispatch(setSearch(editor.state.tr, { text: "", matchCase: false }));
  }, [editor]);

  const step = (by: 1 | -1) => {
    editor.dispatch(stepMatch(editor.state, by));
    editor.view?.dom.querySelector(".found-current")?.scrollIntoView({ block: "center" });
  };
  return (
    <search
      aria-label="Find and replace"
      className="sticky top-14 z-10 mt-3 flex flex-wrap items-center gap-2 rounded-xl border border-line bg-sheet p-2 shadow-raised"
      onKeyDown={(event) => {
        if (event.key === "Escape") {
          event.preventDefault();
          onClose();
        }
      }}
    >
      <TextField
        ref={field}
        aria-label="Find"
        placeholder="Find"
        className="h-8 w-44 grow"
        value={search.text}
        onChange={({ target }) => editor.dispatch(setSearch(editor.state.tr, { ...search, text: target.value }))}
        onKeyDown={(event) => event.key === "Enter" && step(event.shiftKey ? -1 : 1)}
      />
      <span role="status" className="w-16 text-center text-muted text-sm tabular-nums">
        {search.text && `${matches.length > 0 ? index + 1 : 0} of ${matches.length}`}
      </span>
      <Button variant="ghost" size="small-icon" aria-label="Previous match" onClick={() => step(-1)}>
        <ChevronUp aria-hidden />
      </Button>
      <Button variant="ghost" size="small-icon" aria-label="Next match" onClick={() => step(1)}>
        <ChevronDown aria-hidden />
      </Button>
      {isEditing && (
        <>
          <TextField
            aria-label="Replace with"
            placeholder="Replace with"
            className="h-8 w-44 grow"
            value={replacement}
            onChange={({ target }) => setReplacement(target.value)}
          />
          <Button
            size="small"
            disabled={matches.length === 0}
            onClick={() => editor.dispatch(replaceMatch(editor.state, replacement, vocabulary))}
          >
            Replace
          </Button>
          <Button
            size="small"
            disabled={matches.length === 0}
            onClick={() => editor.dispatch(replaceAll(editor.state, replacement, vocabulary))}
          >
            Replace all
          </Button>
        </>
      )}
      <Switch
        label="Match case"
        checked={search.matchCase}
        onCheckedChange={(matchCase) => editor.dispatch(setSearch(editor.state.tr, { ...search, matchCase }))}
      />
      <Button variant="ghost" size="small-icon" aria-label="Close find" onClick={onClose}>
        <X aria-hidden />
      </Button>
    </search>
  );
}
