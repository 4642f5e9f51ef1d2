import { expect, it } from "vitest";
import { timeLeftS, timeLeftText } from "@/lib/time-left";

it("supposes that the rest goes as fast as what is done", () => {
  expect(timeLeftS(15, 60, 10)).toBe(30);
  expect(timeLeftS(60, 60, 10)).toBe(0);
});

it.each([
  ["nothing is done", 0, 60, 10],
  ["the length is unknown", 10, null, 10],
  ["it has only begun", 10, 60, 0.5],
  ["hardly anything is done", 1, 100, 10],
] as const)("says nothing while %s", (_, done, total, elapsed) => {
  expect(timeLeftS(done, total, elapsed)).toBeNull();
});

it.each([
  [2, "a few seconds left"],
  [12, "about 15 s left"],
  [58, "about 1 min left"],
  [310, "about 5 min left"],
  [5400, "about 1.5 h left"],
])("gives %d seconds as %s", (seconds, text) => {
  expect(timeLeftText(seconds)).toBe(text);
});
