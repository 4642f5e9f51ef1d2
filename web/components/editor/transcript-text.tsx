"use client";

import { useEffect, useRef } from "react";
import type { TranscriptEditor } from "@/lib/editor/editor";

/** The text itself. A double click in it begins to edit where it was clicked. */
export function TranscriptText({ editor, onEdit }: { editor: TranscriptEditor; onEdit: () => void }) {
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => (place.current ? editor.mount(place.current) : undefined), [editor]);
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the same is done by the button Edit and the key E
    <div ref={place} onDoubleClick={onEdit} />
  );
}
