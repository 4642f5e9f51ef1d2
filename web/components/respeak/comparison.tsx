"use client";

import { Pause, Play } from "lucide-react";
import { type ReactNode, useEffect, useMemo, useRef, useState } from "react";
import { engineTitle } from "@/components/respeak/chooser";
import { ContourPlot } from "@/components/respeak/contour-plot";
import { Measures } from "@/components/respeak/measures";
import { type Side, usePair } from "@/components/respeak/use-pair";
import { TaggedLine } from "@/components/tagged-line";
import { Button, ButtonLink } from "@/components/ui/button";
import { Waveform } from "@/components/waveform";
import { respeakAudioAddress } from "@/lib/api/client";
import { clock, count } from "@/lib/format";
import type { Player } from "@/lib/player";
import type { Spoken } from "@/lib/store/respeaks";
import { toOriginal } from "@/lib/time-map";
import { type Loaded, usePeaks } from "@/lib/use-document";
import { usePlayer } from "@/lib/use-editor";
import { cn } from "@/lib/utils";
import { peaksOfAddress } from "@/lib/waveform";

const PEAKS = 800;

export function Comparison({ loaded, spoken }: { loaded: Loaded; spoken: Spoken }) {
  const { document, audio } = loaded;
  const { respeak, contours, version } = spoken;
  const address = respeakAudioAddress(document.id, respeak.id);
  const { side, players, switchTo } = usePair(audio, address, respeak.sentences);
  const originalPeaks = usePeaks(loaded);
  const [respokenPeaks, setRespokenPeaks] = useState<number[] | null>(null);
  useEffect(() => {
    peaksOfAddress(address, PEAKS).then(setRespokenPeaks);
  }, [address]);

  const active = players[side];
  const isPlaying = usePlayer(active, (player) => player.isPlaying);
  useKeys(active, side, switchTo, audio !== null);

  const fresh = respeak.sentences.filter(({ cached }) => !cached).length;
  return (
    <div className="mt-8 grid gap-x-10 gap-y-8 lg:grid-cols-[minmax(0,1fr)_17rem]">
      <section aria-label="Comparison" className="min-w-0 rounded-2xl border border-line bg-sheet">
        <div className="flex flex-wrap items-center gap-3 border-line border-b p-4">
          <Button
            variant="solid"
            size="icon"
            className="size-11 rounded-full"
            aria-label={isPlaying ? "Pause" : "Play"}
            onClick={() => active.toggle()}
          >
            {isPlaying ? (
              <Pause aria-hidden className="fill-current" />
            ) : (
              <Play aria-hidden className="translate-x-px fill-current" />
            )}
          </Button>
          {audio && (
            <fieldset className="flex rounded-lg bg-well p-1">
              <legend className="sr-only">What you hear</legend>
              <SideButton keyName="A" isOn={side === "original"} onClick={() => switchTo("original")}>
                Original
              </SideButton>
              <SideButton keyName="B" isOn={side === "respoken"} onClick={() => switchTo("respoken")}>
                Re-spoken
              </SideButton>
            </fieldset>
          )}
          <p className="ml-auto text-muted text-sm">
            Spoken by <span className="font-medium text-ink">{engineTitle(respeak.engine)}</span>, voice{" "}
            <span className="font-medium text-ink">{respeak.voice}</span>
          </p>
        </div>
        {version !== document.version && (
          <p className="border-line border-b bg-well px-4 py-2 text-sm">
            The text has changed since: speak again to hear it.
          </p>
        )}
        {audio && (
          <Track
            label="Original"
            player={players.original}
            peaks={originalPeaks}
            durationS={document.transcript.duration_s}
            isHeard={side === "original"}
            onTouch={() => switchTo("original")}
          />
        )}
        <Track
          label="Re-spoken"
          player={players.respoken}
          peaks={respokenPeaks}
          durationS={respeak.duration_s}
          isHeard={side === "respoken"}
          onTouch={() => switchTo("respoken")}
        />
        {audio && (
          <ContourPlot
            contours={contours}
            sentences={respeak.sentences}
            durationS={document.transcript.duration_s}
            player={players[side]}
            toPlot={(seconds) => (side === "original" ? seconds : toOriginal(respeak.sentences, seconds))}
          />
        )}
      </section>
      <aside className="flex flex-col gap-6 text-sm">
        <Measures measures={respeak.measures} />
        <div>
          <p className="text-muted">
            {count(respeak.sentences.length, "sentence")}, {fresh === 0 ? "none" : fresh} spoken anew.
          </p>
          <ButtonLink size="small" className="mt-3" href={address} download={`${document.name} (re-spoken).wav`}>
            Download WAV
          </ButtonLink>
        </div>
      </aside>
      <Sentences spoken={spoken} side={side} player={active} />
    </div>
  );
}

function SideButton({
  keyName,
  isOn,
  onClick,
  children,
}: {
  keyName: string;
  isOn: boolean;
  onClick: () => void;
  children: ReactNode;
}) {
  return (
    <button
      type="button"
      aria-pressed={isOn}
      onClick={onClick}
      className={cn(
        "flex h-8 items-center gap-2 rounded-md px-3 font-medium text-muted text-sm transition-colors",
        isOn && "bg-sheet text-ink shadow-[0_1px_2px_oklch(0.2_0_0/0.14)]",
      )}
    >
      <kbd aria-hidden className="font-sans text-muted text-xs">
        {keyName}
      </kbd>
      {children}
    </button>
  );
}

function Track({
  label,
  player,
  peaks,
  durationS,
  isHeard,
  onTouch,
}: {
  label: string;
  player: Player;
  peaks: number[] | null;
  durationS: number;
  isHeard: boolean;
  onTouch: () => void;
}) {
  return (
    <div
      className={cn("flex items-center gap-4 px-4 py-3 transition-opacity", !isHeard && "opacity-60")}
      onPointerDownCapture={onTouch}
    >
      <span className="w-20 shrink-0 text-sm">
        <span className="block font-medium">{label}</span>
        <span className="tabular-nums">{clock(durationS)}</span>
      </span>
      <Waveform player={player} peaks={peaks} durationS={durationS} label={`Position, ${label}`} height={48} />
    </div>
  );
}

function Sentences({ spoken: { respeak }, side, player }: { spoken: Spoken; side: Side; player: Player }) {
  const starts = useMemo(
    () => respeak.sentences.map((s) => (side === "original" ? s.source_start_s : s.start_s)),
    [respeak, side],
  );
  const current = usePlayer(player, ({ atS }) =>
    starts.findLastIndex((startS) => startS !== null && startS <= atS + 0.01),
  );
  return (
    <section aria-label="Sentences" className="min-w-0 lg:col-span-2">
      <h2 className="mb-2 font-semibold text-sm">Sentences</h2>
      <ol className="max-w-3xl">
        {respeak.sentences.map(({ text, cached }, index) => {
          const startS = starts[index] ?? null;
          return (
            // biome-ignore lint/suspicious/noArrayIndexKey: a sentence is its place
            <li key={index}>
              <button
                type="button"
                disabled={startS === null}
                aria-current={index === current ? "true" : undefined}
                onClick={() => startS !== null && player.seek(startS)}
                className="-mx-3 flex w-full items-baseline gap-4 rounded-lg px-3 py-1.5 text-left hover:bg-ink/5 aria-[current]:bg-well"
              >
                <span className="w-10 shrink-0 text-muted text-sm tabular-nums">
                  {startS === null ? "" : clock(startS)}
                </span>
                <span className="min-w-0 font-serif text-lg leading-relaxed">
                  <TaggedLine text={text} />
                </span>
                {!cached && <span className="ml-auto shrink-0 text-accent text-xs">new</span>}
              </button>
            </li>
          );
        })}
      </ol>
    </section>
  );
}

/** Space plays, A and B choose, X changes over. */
function useKeys(player: Player, side: Side, switchTo: (side: Side) => void, hasBoth: boolean): void {
  const now = useRef({ player, side, switchTo });
  now.current = { player, side, switchTo };
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const { target } = event;
      if (event.ctrlKey || event.metaKey || event.altKey || !(target instanceof Element)) return;
      if (target.closest("input, select, [role=dialog], [role=menu]")) return;
      if (event.key === " " && !target.closest("button, a, [role=switch]")) now.current.player.toggle();
      else if (hasBoth && event.key === "a") now.current.switchTo("original");
      else if (hasBoth && event.key === "b") now.current.switchTo("respoken");
      else if (hasBoth && event.key === "x") {
        now.current.switchTo(now.current.side === "original" ? "respoken" : "original");
      } else return;
      event.preventDefault();
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, [hasBoth]);
}
