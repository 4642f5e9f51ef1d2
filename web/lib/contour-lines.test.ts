import { expect, it } from "vitest";
import { levelLine, pathOf, pitchLines } from "@/lib/contour-lines";

it("measures pitch in semitones from the median, and breaks the line where there is no voice", () => {
  const gap = [null, null, null, null];
  const contour = { step_s: 0.5, f0_hz: [100, 200, 100, ...gap, 50, 100], level_db: [] };
  expect(pitchLines(contour)).toEqual([
    [
      { x: 0, y: 0 },
      { x: 0.5, y: 12 },
      { x: 1, y: 0 },
    ],
    [
      { x: 3.5, y: -12 },
      { x: 4, y: 0 },
    ],
  ]);
});

it("draws nothing for a whisper", () => {
  expect(pitchLines({ step_s: 0.1, f0_hz: [null, null], level_db: [] })).toEqual([]);
});

it("gives the level below the loudest, at the times of the other recording", () => {
  const contour = { step_s: 1, f0_hz: [], level_db: [-30, -10] };
  expect(levelLine(contour, (seconds) => seconds * 2)).toEqual([
    { x: 0, y: -20 },
    { x: 2, y: 0 },
  ]);
});

it("draws upwards, and keeps what is too high within the picture", () => {
  const picture = { x0: 0, x1: 2, y0: -10, y1: 10, width: 100, height: 40 };
  const points = [
    { x: 0, y: -10 },
    { x: 1, y: 0 },
    { x: 2, y: 99 },
  ];
  expect(pathOf(points, picture)).toBe("M0 40L50 20L100 0");
});
