"use client";

/** The first view: where recordings come in, those under way, and the transcripts there are. */

import { useEffect, useState } from "react";
import { DropZone } from "@/components/library/drop-zone";
import { History } from "@/components/library/history";
import { UploadRows } from "@/components/library/upload-rows";
import { listTranscripts, useLibrary } from "@/lib/store/library";
import { itemOf, useMemoryStore } from "@/lib/store/memory";
import { useServer } from "@/lib/store/server";
import { resumeJobs } from "@/lib/store/uploads";

export function Library({ isOver }: { isOver: boolean }) {
  const isKept = useServer(({ capabilities }) => capabilities?.store);
  const { items, query, next, problem } = useLibrary();
  const entries = useMemoryStore((state) => state.entries);
  const [memoryQuery, setMemoryQuery] = useState("");

  useEffect(() => {
    if (!isKept) return;
    listTranscripts();
    resumeJobs();
  }, [isKept]);

  const isHere = isKept === false;
  const wanted = memoryQuery.toLowerCase();
  const remembered = entries
    .map(itemOf)
    .filter(({ name, snippet }) => `${name} ${snippet}`.toLowerCase().includes(wanted));
  const isEmpty = isHere ? entries.length === 0 : items?.length === 0 && query === "";
  return (
    <div className="pb-24">
      <DropZone isOver={isOver} isFirst={isEmpty ?? false} />
      <UploadRows />
      {isHere && (
        <p className="mt-8 text-muted text-sm">
          This server keeps nothing: transcripts stay in this page until you leave it. Start it without{" "}
          <code>--no-store</code> to keep them.
        </p>
      )}
      <History
        items={isHere ? remembered : items}
        query={isHere ? memoryQuery : query}
        onQuery={isHere ? setMemoryQuery : listTranscripts}
        hasMore={!isHere && next !== null}
        problem={isHere ? null : problem}
        isEmpty={isEmpty ?? false}
      />
    </div>
  );
}
