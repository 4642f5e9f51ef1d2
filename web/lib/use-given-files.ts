"use client";

import { useEffect, useRef } from "react";

/** Files that are dropped anywhere on the page or pasted into it; `setIsOver` tells whether one hangs over it. */
export function useGivenFiles(setIsOver: (isOver: boolean) => void, onFiles: (files: File[]) => void): void {
  const take = useRef(onFiles);
  take.current = onFiles;
  useEffect(() => {
    const holdsFiles = (data: DataTransfer | null) => data?.types.includes("Files") ?? false;
    const give = (data: DataTransfer | null) => {
      const files = [...(data?.files ?? [])];
      if (files.length > 0) take.current(files);
    };
    const onDragOver = (event: DragEvent) => {
      if (!holdsFiles(event.dataTransfer)) return;
      event.preventDefault();
      setIsOver(true);
    };
    const onDragLeave = (event: DragEvent) => {
      if (event.relatedTarget === null) setIsOver(false); // left the window, not just an element
    };
    const onDrop = (event: DragEvent) => {
      if (!holdsFiles(event.dataTransfer)) return;
      event.preventDefault();
      setIsOver(false);
      give(event.dataTransfer);
    };
    const onPaste = (event: ClipboardEvent) => {
      if (!holdsFiles(event.clipboardData)) return;
      event.preventDefault();
      give(event.clipboardData);
    };
    const stop = new AbortController();
    const { signal } = stop;
    window.addEventListener("dragover", onDragOver, { signal });
    window.addEventListener("dragleave", onDragLeave, { signal });
    window.addEventListener("drop", onDrop, { signal });
    window.addEventListener("paste", onPaste, { signal });
    return () => stop.abort();
  }, [setIsOver]);
}
