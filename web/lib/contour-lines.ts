/** Pitch and level over time as lines to be drawn. Knows numbers; nothing of colours. */

import type { Contour } from "@/lib/api/types";

export interface Point {
  x: number;
  y: number;
}

/** Times are in seconds of the original; `mapTime` brings those of another recording there. */
type MapTime = (seconds: number) => number;

const GAP_JOINED_STEPS = 3;

/** Semitones from a recording's own median pitch: voices of different height can lie over one another. */
export function pitchLines({ step_s, f0_hz }: Contour, mapTime: MapTime = (seconds) => seconds): Point[][] {
  const voiced = f0_hz.filter((hz): hz is number => hz !== null && hz > 0).sort((a, b) => a - b);
  const median = voiced[Math.floor(voiced.length / 2)];
  if (median === undefined) return [];
  const lines: Point[][] = [];
  let last = Number.NEGATIVE_INFINITY;
  f0_hz.forEach((hz, step) => {
    if (hz === null || hz <= 0) return;
    if (step - last > GAP_JOINED_STEPS) lines.push([]);
    lines.at(-1)?.push({ x: mapTime(step * step_s), y: 12 * Math.log2(hz / median) });
    last = step;
  });
  return lines.filter((line) => line.length > 1);
}

/** Decibels below the loudest step. */
export function levelLine({ step_s, level_db }: Contour, mapTime: MapTime = (seconds) => seconds): Point[] {
  const loudest = level_db.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  return level_db.map((db, step) => ({ x: mapTime(step * step_s), y: db - loudest }));
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
