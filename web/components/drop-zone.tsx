"use client";

import { AudioLines } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { Brackets } from "@/components/brackets";
import { Button } from "@/components/ui/button";
import { byteSize } from "@/lib/format";

/** Where a recording comes in: by a button, or dropped anywhere on the page. */
export function DropZone({ maxBytes, onFile }: { maxBytes: number | undefined; onFile: (file: File) => void }) {
  const input = useRef<HTMLInputElement>(null);
  const over = useDroppedFile(onFile);
  return (
    <Brackets open={over}>
      <div className="flex flex-col items-center gap-4 text-center">
        <AudioLines aria-hidden className="size-8 text-emotion" strokeWidth={1.4} />
        <p className="font-serif text-2xl">{over ? "Let go to transcribe" : "Drop a recording here"}</p>
        <Button variant="solid" onClick={() => input.current?.click()}>
          Choose a file
        </Button>
        <input
          ref={input}
          type="file"
          accept="audio/*,video/*"
          aria-label="Audio or video file"
          className="sr-only"
          tabIndex={-1}
          onChange={({ target }) => {
            const file = target.files?.[0];
            target.value = ""; // so that the same file can be chosen again
            if (file) onFile(file);
          }}
        />
        <p className="text-muted text-sm">Audio or video{maxBytes !== undefined && `, up to ${byteSize(maxBytes)}`}</p>
      </div>
    </Brackets>
  );
}

/** Calls `onFile` for a file dropped anywhere; returns whether one hangs over the page. */
function useDroppedFile(onFile: (file: File) => void): boolean {
  const [over, setOver] = useState(false);
  useEffect(() => {
    const holdsFile = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
    const onDragOver = (event: DragEvent) => {
      if (!holdsFile(event)) return;
      event.preventDefault();
      setOver(true);
    };
    const onDragLeave = (event: DragEvent) => {
      if (event.relatedTarget === null) setOver(false); // left the window, not just an element
    };
    const onDrop = (event: DragEvent) => {
      if (!holdsFile(event)) return;
      event.preventDefault();
      setOver(false);
      const file = event.dataTransfer?.files[0];
      if (file) onFile(file);
    };
    window.addEventListener("dragover", onDragOver);
    window.addEventListener("dragleave", onDragLeave);
    window.addEventListener("drop", onDrop);
    return () => {
      window.removeEventListener("dragover", onDragOver);
      window.removeEventListener("dragleave", onDragLeave);
      window.removeEventListener("drop", onDrop);
    };
  }, [onFile]);
  return over;
}
