"use client";

/** The shape of a recording with its position in it: a slider to the keyboard, a picture to the mouse. */

import { type RefObject, useEffect, useRef } from "react";
import WaveSurfer from "wavesurfer.js";
import Regions from "wavesurfer.js/dist/plugins/regions.esm.js";
import { clock } from "@/lib/format";
import type { Player } from "@/lib/player";
import { usePlayer } from "@/lib/use-editor";

export interface Passage {
  startS: number;
  endS: number;
}

const STEP_S = 1;
const SHORTEST_PASSAGE_S = 0.2;

interface WaveformProps {
  player: Player;
  peaks: number[] | null;
  durationS: number;
  label: string;
  height?: number;
  /** A stretch that is marked; dragging over the waveform marks another one. */
  passage?: Passage | null;
  onPassage?: (passage: Passage | null) => void;
}

export function Waveform({ player, peaks, durationS, label, height = 56, passage, onPassage }: WaveformProps) {
  const place = useRef<HTMLDivElement>(null);
  useSurfer(place, {
    player,
    peaks,
    durationS,
    label,
    height,
    passage: passage ?? null,
    ...(onPassage && { onPassage }),
  });
  const atS = usePlayer(player, ({ atS }) => Math.round(atS * 10) / 10);
  return (
    <div
      role="slider"
      tabIndex={0}
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={Math.round(durationS * 10) / 10}
      aria-valuenow={Math.min(atS, durationS)}
      aria-valuetext={`${clock(atS)} of ${clock(durationS)}`}
      onKeyDown={(event) => {
        const target = {
          ArrowLeft: player.atS - STEP_S,
          ArrowRight: player.atS + STEP_S,
          Home: 0,
          End: durationS,
        }[event.key];
        if (target === undefined) return;
        event.preventDefault();
        player.seek(target);
      }}
      className="min-w-0 flex-1 rounded-md"
    >
      <div
        ref={place}
        aria-hidden
        style={{ height }}
        className="[--played:var(--ink)] [--unplayed:color-mix(in_oklch,var(--muted)_45%,transparent)]"
      />
    </div>
  );
}

function useSurfer(place: RefObject<HTMLDivElement | null>, props: WaveformProps & { passage: Passage | null }): void {
  const { player, peaks, durationS, height, passage } = props;
  const regions = useRef<ReturnType<typeof Regions.create> | null>(null);
  const now = useRef(props);
  now.current = props;

  useEffect(() => {
    const container = place.current;
    if (!container || !peaks || durationS <= 0) return;
    const colour = (name: string) => getComputedStyle(container).getPropertyValue(name);
    const plugin = Regions.create();
    const surfer = WaveSurfer.create({
      container,
      height: height ?? 56,
      media: player.audio,
      peaks: [peaks],
      duration: durationS,
      waveColor: colour("--unplayed"),
      progressColor: colour("--ink"),
      cursorColor: colour("--accent"),
      cursorWidth: 2,
      barWidth: 2,
      barGap: 1.5,
      barRadius: 2,
      barMinHeight: 2,
      normalize: true,
      plugins: [plugin],
    });
    // It follows the player's moves, and must be told where it stands already.
    surfer.on("ready", () => player.atS > 0 && surfer.setTime(player.atS));
    regions.current = plugin;
    if (now.current.onPassage) {
      plugin.enableDragSelection({ color: colour("--found"), drag: true, resize: true, minLength: SHORTEST_PASSAGE_S });
      const tell = ({ start, end }: { start: number; end: number }) =>
        now.current.onPassage?.({ startS: start, endS: end });
      plugin.on("region-created", (region) => {
        for (const other of plugin.getRegions()) if (other !== region) other.remove();
        tell(region);
      });
      plugin.on("region-updated", tell);
    }
    const recolour = () =>
      surfer.setOptions({
        waveColor: colour("--unplayed"),
        progressColor: colour("--ink"),
        cursorColor: colour("--accent"),
      });
    const theme = new MutationObserver(recolour);
    theme.observe(document.documentElement, { attributes: true, attributeFilter: ["class"] });
    return () => {
      theme.disconnect();
      regions.current = null;
      surfer.destroy();
    };
  }, [place, player, peaks, durationS, height]);

  useEffect(() => {
    if (passage === null) regions.current?.clearRegions();
  }, [passage]);
}
