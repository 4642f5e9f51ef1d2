import { expect, it } from "vitest";
import { levelLines, pathOf, pitchLines } from "@/lib/contour-lines";

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
  expect(levelLines(contour, 50, (seconds) => seconds * 2)).toEqual([
    [
      { x: 0, y: -20 },
      { x: 2, y: 0 },
    ],
  ]);
});

it("draws nothing where it is silent, inside and at the end", () => {
  const level_db = [-20, -30, -75, -70, -70, -25, -20, -120, -120, -120];
  const places = levelLines({ step_s: 0.1, f0_hz: [], level_db }, 50).map((line) => line.map(({ y }) => y));
  expect(places).toEqual([
    [0, -10],
    [-5, 0],
  ]);
  expect(levelLines({ step_s: 0.1, f0_hz: [], level_db: [-120, -120, -120] }, 50)).toEqual([]);
});

it("draws no line over a pause that only the other recording makes", () => {
  const contour = { step_s: 0.02, f0_hz: [100, 100, 100, 100], level_db: [] };
  const withPause = (seconds: number) => (seconds < 0.03 ? seconds : seconds + 2);
  expect(pitchLines(contour, withPause).map((line) => line.map(({ x }) => x))).toEqual([
    [0, 0.02],
    [2.04, 2.06],
  ]);
});

it("joins the few steps of a long recording", () => {
  const contour = { step_s: 0.6, f0_hz: [100, 100, null, 100, 100], level_db: [] };
  expect(pitchLines(contour).map((line) => line.length)).toEqual([2, 2]);
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
