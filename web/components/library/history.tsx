"use client";

import { MoreHorizontal, Search, Trash2 } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { ProblemNotice } from "@/components/problem-notice";
import { TaggedLine } from "@/components/tagged-line";
import { toast } from "@/components/toaster";
import { Button } from "@/components/ui/button";
import { Dialog } from "@/components/ui/dialog";
import { TextField } from "@/components/ui/field";
import { Menu, MenuItem } from "@/components/ui/menu";
import { problemOf } from "@/lib/api/problem";
import type { Problem, TranscriptItem } from "@/lib/api/types";
import { clock, dayOf } from "@/lib/format";
import { hashOf } from "@/lib/route";
import { listMore, removeTranscript } from "@/lib/store/library";
import { forget, MEMORY_PREFIX } from "@/lib/store/memory";

const TYPING_MS = 200;

/** The transcripts there are. `items` is null while nobody knows. */
export function History({
  items,
  query,
  onQuery,
  hasMore,
  problem,
  isEmpty,
}: {
  items: TranscriptItem[] | null;
  query: string;
  onQuery: (query: string) => void;
  hasMore: boolean;
  problem: Problem | null;
  isEmpty: boolean;
}) {
  const [leaving, setLeaving] = useState<TranscriptItem | null>(null);
  if (isEmpty && !problem) return null;
  return (
    <section aria-labelledby="transcripts" className="mt-12">
      <div className="flex flex-wrap items-center justify-between gap-3 border-line border-b pb-4">
        <h2 id="transcripts" className="font-serif text-2xl">
          Transcripts
        </h2>
        <SearchField query={query} onQuery={onQuery} />
      </div>
      {problem && <ProblemNotice problem={problem} className="mt-6" />}
      {!items && !problem && <Skeletons />}
      {items?.length === 0 && query !== "" && (
        <p className="py-12 text-center text-muted">
          Nothing said <q>{query}</q>.
        </p>
      )}
      <ul>
        {items?.map((item) => (
          <Item key={item.id} item={item} onDelete={() => setLeaving(item)} />
        ))}
      </ul>
      {hasMore && (
        <Button className="mx-auto mt-6 flex" onClick={() => listMore()}>
          Show more
        </Button>
      )}
      <DeleteDialog item={leaving} onClose={() => setLeaving(null)} />
    </section>
  );
}

function SearchField({ query, onQuery }: { query: string; onQuery: (query: string) => void }) {
  const [typed, setTyped] = useState(query);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  return (
    <div className="relative w-full sm:w-72">
      <Search aria-hidden className="-translate-y-1/2 pointer-events-none absolute top-1/2 left-3 size-4 text-muted" />
      <TextField
        type="search"
        aria-label="Search transcripts"
        placeholder="Search what was said"
        className="pl-9"
        value={typed}
        onChange={({ target: { value } }) => {
          setTyped(value);
          clearTimeout(timer.current);
          timer.current = setTimeout(() => onQuery(value), TYPING_MS);
        }}
      />
    </div>
  );
}

function Item({ item, onDelete }: { item: TranscriptItem; onDelete: () => void }) {
  return (
    <li className="group relative flex items-start gap-4 border-line border-b py-4">
      <a
        href={hashOf({ view: "transcript", id: item.id })}
        className="min-w-0 flex-1 rounded-lg outline-offset-4 after:absolute after:inset-0"
      >
        <span className="flex items-baseline justify-between gap-4">
          <span className="truncate font-medium text-[1.0625rem] decoration-1 underline-offset-4 group-hover:underline">
            {item.name}
          </span>
          <span className="shrink-0 text-muted text-sm tabular-nums">
            {dayOf(item.updated_at)} <span aria-hidden>·</span> {clock(item.duration_s)}
          </span>
        </span>
        <span className="mt-1 line-clamp-2 font-serif text-lg text-muted leading-snug">
          {item.snippet ? <TaggedLine text={item.snippet} /> : "Nothing was said in this recording."}
        </span>
      </a>
      <Menu
        trigger={
          <Button
            variant="ghost"
            size="small-icon"
            className="relative z-1 -mr-2"
            aria-label={`More about ${item.name}`}
          >
            <MoreHorizontal aria-hidden />
          </Button>
        }
      >
        <MenuItem onSelect={onDelete}>
          <Trash2 aria-hidden />
          Delete
        </MenuItem>
      </Menu>
    </li>
  );
}

/** Asks before a transcript is deleted for good; `null` is closed. */
export function DeleteDialog({
  item,
  onClose,
  onDeleted,
}: {
  item: Pick<TranscriptItem, "id" | "name"> | null;
  onClose: () => void;
  onDeleted?: () => void;
}) {
  const remove = async ({ id, name }: Pick<TranscriptItem, "id" | "name">) => {
    try {
      if (id.startsWith(MEMORY_PREFIX)) forget(id);
      else await removeTranscript(id);
      toast(`${name} is deleted`);
      onDeleted?.();
    } catch (error) {
      toast(problemOf(error).detail);
    }
    onClose();
  };
  return (
    <Dialog
      open={item !== null}
      onOpenChange={(open) => !open && onClose()}
      title="Delete this transcript?"
      description={`${item?.name ?? ""}: its text, its versions and its sound go for good.`}
    >
      <div className="flex justify-end gap-3">
        <Button onClick={onClose}>Keep it</Button>
        <Button variant="danger" onClick={() => item && remove(item)}>
          Delete
        </Button>
      </div>
    </Dialog>
  );
}

function Skeletons() {
  return (
    <div aria-busy="true">
      <span className="sr-only">Loading transcripts</span>
      {[0, 1, 2].map((row) => (
        <div key={row} className="border-line border-b py-4">
          <div className="skeleton h-5 w-48" />
          <div className="skeleton mt-2 h-5 w-full max-w-2xl" />
        </div>
      ))}
    </div>
  );
}
