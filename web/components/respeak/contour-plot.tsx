"use client";

import { type ReactNode, useMemo } from "react";
import type { Contours, SpokenSentence } from "@/lib/api/types";
import { levelLines, type Point, pathOf, pitchLines } from "@/lib/contour-lines";
import type { Player } from "@/lib/player";
import { toOriginal } from "@/lib/time-map";
import { usePlayer } from "@/lib/use-editor";

const WIDTH = 800;
const PITCH_HEIGHT = 120;
const LEVEL_HEIGHT = 56;
/** An octave up and down; more where the voices go further, up to what no voice does. */
const PITCH_RANGE_ST = 12;
const WIDEST_PITCH_ST = 24;
/** What is quieter than this, below the loudest, is the room and not the voice. */
const LEVEL_RANGE_DB = 40;

/** Pitch and loudness of both over one another, in the original's time: each sentence lies on its original. */
export function ContourPlot({
  contours,
  sentences,
  durationS,
  player,
  toPlot,
}: {
  contours: Contours | null;
  sentences: readonly SpokenSentence[];
  durationS: number;
  player: Player;
  toPlot: (seconds: number) => number;
}) {
  const share = usePlayer(player, ({ atS }) => Math.round((1000 * toPlot(atS)) / Math.max(durationS, 0.1)) / 1000);
  const lines = useMemo(() => {
    const { original, respeak } = contours ?? {};
    if (!original || !respeak) return null;
    const map = (seconds: number) => toOriginal(sentences, seconds);
    const pitchesOf = [pitchLines(original), pitchLines(respeak, map)] as const;
    const furthest = pitchesOf.flat(2).reduce((most, { y }) => Math.max(most, Math.abs(y)), PITCH_RANGE_ST);
    const range = Math.min(furthest, WIDEST_PITCH_ST);
    const pitch = { x0: 0, x1: durationS, y0: -range, y1: range, width: WIDTH, height: PITCH_HEIGHT };
    const level = { ...pitch, y0: -LEVEL_RANGE_DB, y1: 0, height: LEVEL_HEIGHT };
    const path = (lines: Point[][], picture: typeof pitch) => lines.map((line) => pathOf(line, picture)).join("");
    return {
      pitch: pitchesOf.map((lines) => path(lines, pitch)),
      level: [path(levelLines(original, LEVEL_RANGE_DB), level), path(levelLines(respeak, LEVEL_RANGE_DB, map), level)],
    };
  }, [contours, sentences, durationS]);
  return (
    <div className="border-line border-t p-4">
      <div className="mb-3 flex flex-wrap items-center gap-x-5 gap-y-1 text-sm">
        <h2 className="font-semibold">How the voice moves</h2>
        <Key line={<line x1="0" x2="24" y1="4" y2="4" className="stroke-2 stroke-ink" />}>Original</Key>
        <Key line={<line x1="0" x2="24" y1="4" y2="4" strokeDasharray="5 3" className="stroke-2 stroke-accent" />}>
          Re-spoken
        </Key>
      </div>
      <Plot label="Pitch" unit="semitones around the median" height={PITCH_HEIGHT} lines={lines?.pitch} share={share} />
      <Plot label="Loudness" unit="dB below the loudest" height={LEVEL_HEIGHT} lines={lines?.level} share={share} />
    </div>
  );
}

function Key({ line, children }: { line: ReactNode; children: string }) {
  return (
    <span className="flex items-center gap-2 text-muted">
      <svg aria-hidden width="24" height="8">
        {line}
      </svg>
      {children}
    </span>
  );
}

function Plot({
  label,
  unit,
  height,
  lines,
  share,
}: {
  label: string;
  unit: string;
  height: number;
  lines: string[] | undefined;
  share: number;
}) {
  return (
    <figure className="mt-2">
      <figcaption className="text-muted text-xs">
        {label}, {unit}
      </figcaption>
      <div className="relative mt-1">
        <svg
          role="img"
          aria-label={`${label} of the original and of the re-spoken sound`}
          viewBox={`0 0 ${WIDTH} ${height}`}
          preserveAspectRatio="none"
          style={{ height }}
          className="w-full rounded-md bg-well"
        >
          <path d={lines?.[0]} vectorEffect="non-scaling-stroke" className="fill-none stroke-[1.75] stroke-ink" />
          <path
            d={lines?.[1]}
            vectorEffect="non-scaling-stroke"
            strokeDasharray="5 3"
            className="fill-none stroke-[1.75] stroke-accent"
          />
        </svg>
        <span
          aria-hidden
          className="absolute inset-y-0 w-px bg-muted"
          style={{ left: `${Math.max(0, Math.min(100, 100 * share))}%` }}
        />
      </div>
    </figure>
  );
}
