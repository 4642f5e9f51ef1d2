"use client";

/** The sound of a transcript, at the foot of the page: waveform, tags on it, and what a marked passage can be asked. */

import { Pause, Play, RefreshCw, X } from "lucide-react";
import { useMemo, useState } from "react";
import { TagShape } from "@/components/tag-chip";
import { toast } from "@/components/toaster";
import { Button } from "@/components/ui/button";
import { Select } from "@/components/ui/field";
import { type Passage, Waveform } from "@/components/waveform";
import { retranscribe } from "@/lib/api/client";
import { problemOf } from "@/lib/api/problem";
import { replacePassage } from "@/lib/editor/commands";
import type { TranscriptEditor } from "@/lib/editor/editor";
import { timedTags, wordsOf } from "@/lib/editor/words";
import { clock } from "@/lib/format";
import { type Player, SPEEDS } from "@/lib/player";
import { useChoices } from "@/lib/store/choices";
import { type Loaded, usePeaks } from "@/lib/use-document";
import { useEditorState, usePlayer } from "@/lib/use-editor";

export type { Passage };

export function Dock({
  loaded,
  editor,
  player,
  passage,
  setPassage,
}: {
  loaded: Loaded;
  editor: TranscriptEditor;
  player: Player;
  passage: Passage | null;
  setPassage: (passage: Passage | null) => void;
}) {
  const peaks = usePeaks(loaded);
  const isPlaying = usePlayer(player, (p) => p.isPlaying);
  const isBroken = usePlayer(player, (p) => p.isBroken);
  const durationS = loaded.document.transcript.duration_s;
  return (
    <section
      aria-label="Recording"
      className="fixed inset-x-0 bottom-0 z-20 border-line border-t bg-sheet pb-[env(safe-area-inset-bottom)]"
    >
      <div className="mx-auto max-w-6xl px-4 py-3 sm:px-8">
        {passage && (
          <PassageBar loaded={loaded} editor={editor} player={player} passage={passage} setPassage={setPassage} />
        )}
        <div className="flex items-center gap-3 sm:gap-5">
          <Button
            variant="solid"
            size="icon"
            className="size-11 rounded-full"
            disabled={isBroken}
            aria-label={isPlaying ? "Pause" : "Play"}
            onClick={() => player.toggle()}
          >
            {isPlaying ? (
              <Pause aria-hidden className="fill-current" />
            ) : (
              <Play aria-hidden className="translate-x-px fill-current" />
            )}
          </Button>
          {isBroken ? (
            <p className="flex-1 text-muted text-sm">This browser cannot play this recording.</p>
          ) : (
            <div className="min-w-0 flex-1">
              <Waveform
                player={player}
                peaks={peaks}
                durationS={durationS}
                label="Position"
                passage={passage}
                {...(loaded.isKept && { onPassage: setPassage })}
              />
              <TagLane editor={editor} durationS={durationS} onSeek={(seconds) => player.seek(seconds)} />
            </div>
          )}
          <div className="flex shrink-0 flex-col items-end gap-1">
            <Times player={player} durationS={durationS} />
            <SpeedChoice player={player} />
          </div>
        </div>
      </div>
    </section>
  );
}

function Times({ player, durationS }: { player: Player; durationS: number }) {
  const atS = usePlayer(player, (p) => Math.floor(p.atS));
  return (
    <span className="text-right text-sm tabular-nums">
      {clock(atS)}
      <span className="hidden text-muted sm:inline"> / {clock(durationS)}</span>
    </span>
  );
}

function SpeedChoice({ player }: { player: Player }) {
  const speed = useChoices((choices) => choices.speed);
  return (
    <Select
      aria-label="Speed"
      className="[&_select]:h-7 [&_select]:rounded-md [&_select]:pl-2 [&_select]:text-xs"
      value={speed}
      onChange={({ target }) => {
        useChoices.setState({ speed: Number(target.value) });
        player.setSpeed(Number(target.value));
      }}
    >
      {SPEEDS.map((value) => (
        <option key={value} value={value}>
          {value} ×
        </option>
      ))}
    </Select>
  );
}

/** Where the tags are in the sound. The same tags are in the text; here they are for the eye and the mouse. */
function TagLane({
  editor,
  durationS,
  onSeek,
}: {
  editor: TranscriptEditor;
  durationS: number;
  onSeek: (seconds: number) => void;
}) {
  const state = useEditorState(editor);
  const { doc } = state;
  const words = wordsOf(state);
  const marks = useMemo(() => timedTags(doc, words), [doc, words]);
  return (
    <div aria-hidden className="relative mt-1 h-3.5">
      {marks.map(({ name, category, atS }, index) => (
        <button
          // biome-ignore lint/suspicious/noArrayIndexKey: by their places all that follow would be new at each key typed
          key={index}
          type="button"
          tabIndex={-1}
          title={`${name}, ${clock(atS)}`}
          data-marker={name}
          onClick={() => onSeek(atS)}
          style={{ left: `${durationS > 0 ? Math.min(100, (100 * atS) / durationS) : 0}%` }}
          className="-translate-x-1/2 absolute top-0 flex size-3.5 items-center justify-center text-[0.9rem] transition-transform hover:scale-140"
        >
          <TagShape category={category ?? "unknown"} />
        </button>
      ))}
    </div>
  );
}

function PassageBar({
  loaded: { document },
  editor,
  player,
  passage,
  setPassage,
}: {
  loaded: Loaded;
  editor: TranscriptEditor;
  player: Player;
  passage: Passage;
  setPassage: (passage: Passage | null) => void;
}) {
  const [isBusy, setBusy] = useState(false);
  const { startS, endS } = passage;
  const again = async () => {
    setBusy(true);
    try {
      const heard = await retranscribe(document.id, startS, endS);
      const change = replacePassage(editor.state, heard, startS, endS);
      if (change) editor.dispatch(change);
      toast(change ? "Transcribed again; undo brings the old words back" : "No words were spoken there");
      setPassage(null);
    } catch (error) {
      toast(problemOf(error).detail);
    }
    setBusy(false);
  };
  return (
    <div className="mb-3 flex flex-wrap items-center gap-2 text-sm">
      <span className="mr-1 tabular-nums">
        {clock(startS)} to {clock(endS)}
      </span>
      <Button size="small" onClick={() => player.play(startS, endS)}>
        <Play aria-hidden />
        Play it
      </Button>
      <Button size="small" disabled={isBusy} onClick={again}>
        <RefreshCw aria-hidden className={isBusy ? "animate-spin" : ""} />
        {isBusy ? "Listening again" : "Transcribe it again"}
      </Button>
      <Button variant="ghost" size="small-icon" aria-label="Let go of this passage" onClick={() => setPassage(null)}>
        <X aria-hidden />
      </Button>
    </div>
  );
}
