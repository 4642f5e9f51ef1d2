"use client";

import { useEffect, useLayoutEffect, useRef, useState } from "react";
import { TagShape } from "@/components/tag-chip";
import { CATEGORIES } from "@/lib/categories";
import type { TranscriptEditor } from "@/lib/editor/editor";
import { insertTag, paletteOf, replacedTag } from "@/lib/editor/palette";
import { useServer } from "@/lib/store/server";
import { useEditorState } from "@/lib/use-editor";
import { cn } from "@/lib/utils";

const WIDTH_PX = 288;
const MARGIN_PX = 8;

/** The tags that can be put where `[` was typed, or in the place of the tag that is selected. The focus stays in the text. */
export function TagPalette({ editor }: { editor: TranscriptEditor }) {
  const state = useEditorState(editor);
  const open = paletteOf(state);
  const vocabulary = useServer(({ capabilities }) => capabilities?.tags ?? []);
  const list = useRef<HTMLDivElement>(null);
  const [place, setPlace] = useState<{ left: number; top: number } | null>(null);
  const from = open?.from ?? -1;
  const index = open?.index ?? -1;

  useLayoutEffect(() => {
    const { view } = editor;
    if (from < 0 || !view) return setPlace(null);
    const { left, bottom, top } = view.coordsAtPos(from);
    const height = list.current?.offsetHeight ?? 320;
    const isBelow = bottom + MARGIN_PX + height < window.innerHeight - 120 || top < height;
    setPlace({
      left: Math.max(MARGIN_PX, Math.min(left, document.documentElement.clientWidth - WIDTH_PX - MARGIN_PX)),
      top: isBelow ? bottom + MARGIN_PX : top - MARGIN_PX - height,
    });
  }, [editor, from]);

  // For screen readers the text is what the list belongs to.
  useEffect(() => {
    const text = editor.view?.dom;
    if (!text || index < 0) return;
    text.setAttribute("aria-controls", "tag-palette");
    text.setAttribute("aria-activedescendant", `tag-${index}`);
    list.current?.querySelector(`#tag-${index}`)?.scrollIntoView({ block: "nearest" });
    return () => {
      text.removeAttribute("aria-controls");
      text.removeAttribute("aria-activedescendant");
    };
  }, [editor, index]);

  if (!open) return null;
  const replaced = replacedTag(state);
  const own = open.query.trim();
  return (
    <div
      ref={list}
      id="tag-palette"
      role="listbox"
      aria-label={replaced ? `Instead of ${replaced}` : "Tags"}
      style={{
        width: WIDTH_PX,
        left: place?.left ?? 0,
        top: place?.top ?? 0,
        visibility: place ? "visible" : "hidden",
      }}
      className="fixed z-30 max-h-80 overflow-y-auto rounded-xl border border-line bg-sheet p-1.5 shadow-raised"
    >
      {open.items.map(({ tag, category }, at) => (
        <button
          key={tag}
          id={`tag-${at}`}
          type="button"
          role="option"
          tabIndex={-1}
          aria-selected={at === index}
          onMouseDown={(event) => event.preventDefault()} // the focus stays in the text
          onClick={() => editor.dispatch(insertTag(editor.state, tag, vocabulary))}
          className={cn(
            "flex w-full items-center gap-2.5 rounded-md px-2.5 py-1.5 text-left text-sm hover:bg-ink/5",
            at === index && "bg-ink/8",
          )}
        >
          <TagShape category={category} />
          {tag}
          <span className="ml-auto text-muted text-xs">{CATEGORIES.find(({ id }) => id === category)?.label}</span>
        </button>
      ))}
      {open.items.length === 0 && (
        <button
          id="tag-0"
          type="button"
          role="option"
          tabIndex={-1}
          aria-selected
          onMouseDown={(event) => event.preventDefault()}
          onClick={() => own && editor.dispatch(insertTag(editor.state, own, vocabulary))}
          className="flex w-full items-center gap-2.5 rounded-md bg-ink/8 px-2.5 py-1.5 text-left text-sm"
        >
          <TagShape category="unknown" />
          {own}
          <span className="ml-auto text-muted text-xs">Not in the vocabulary</span>
        </button>
      )}
    </div>
  );
}
