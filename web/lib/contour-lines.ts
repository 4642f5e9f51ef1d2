/** Pitch and level over time as lines to be drawn. Knows numbers; nothing of colours. */

import type { Contour } from "@/lib/api/types";

export interface Point {
  x: number;
  y: number;
}

/** Times are in seconds of the original; `mapTime` brings those of another recording there. */
type MapTime = (seconds: number) => number;

/** What stops for no longer than this is drawn as one line... */
const STOP_JOINED_S = 0.08;
/** ...unless the plot has more room than this for the stop: a pause that the other recording does not make. */
const LEAP_JOINED_S = 0.25;

/** What the server gives for digital silence, dB of full scale. */
const SILENCE_DB = -120;

/** Semitones from a recording's own median pitch: voices of different height can lie over one another. */
export function pitchLines({ step_s, f0_hz }: Contour, mapTime: MapTime = (seconds) => seconds): Point[][] {
  const voiced = f0_hz.filter((hz): hz is number => hz !== null && hz > 0).sort((a, b) => a - b);
  const median = voiced[Math.floor(voiced.length / 2)];
  if (median === undefined) return [];
  const semitones = f0_hz.map((hz) => (hz !== null && hz > 0 ? 12 * Math.log2(hz / median) : null));
  return linesOf(semitones, step_s, mapTime);
}

/** Decibels below the loudest step; what is more than `rangeDb` below it is silence, and not drawn. */
export function levelLines(
  { step_s, level_db }: Contour,
  rangeDb: number,
  mapTime: MapTime = (seconds) => seconds,
): Point[][] {
  const loudest = level_db.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const levels = level_db.map((db) => (db > SILENCE_DB && db - loudest > -rangeDb ? db - loudest : null));
  return linesOf(levels, step_s, mapTime);
}

/** Lines through what is there, in pieces where nothing is: a silence is no slope from one sound to the next. */
function linesOf(values: readonly (number | null)[], stepS: number, mapTime: MapTime): Point[][] {
  const lines: Point[][] = [];
  let lastS = Number.NEGATIVE_INFINITY;
  values.forEach((y, step) => {
    if (y === null) return;
    const atS = step * stepS;
    const x = mapTime(atS);
    const last = lines.at(-1)?.at(-1);
    const isApart = atS - lastS > Math.max(STOP_JOINED_S, 1.5 * stepS);
    const isLeap = last !== undefined && Math.abs(x - last.x) > Math.max(LEAP_JOINED_S, 3 * stepS);
    if (isApart || isLeap) lines.push([]);
    lines.at(-1)?.push({ x, y });
    lastS = atS;
  });
  return lines.filter((line) => line.length > 1);
}

/** An SVG path through points, with `x0..x1` across `width` and `y0..y1` (upwards) over `height`; outliers are cut. */
export function pathOf(
  points: readonly Point[],
  { x0, x1, y0, y1, width, height }: Record<"x0" | "x1" | "y0" | "y1" | "width" | "height", number>,
): string {
  const round = (value: number) => Math.round(value * 10) / 10;
  return points
    .map(({ x, y }, index) => {
      const across = ((x - x0) / (x1 - x0)) * width;
      const up = ((Math.max(y0, Math.min(y1, y)) - y0) / (y1 - y0)) * height;
      return `${index === 0 ? "M" : "L"}${round(across)} ${round(height - up)}`;
    })
    .join("");
}
