import { expect, it } from "vitest";
import { byteSize, clock, count, dayOf, stem } from "@/lib/format";

it.each([
  [0, "0:00"],
  [59.99, "0:59"],
  [61, "1:01"],
  [3600, "1:00:00"],
  [36_061, "10:01:01"],
])("shows %d seconds as %s", (seconds, text) => {
  expect(clock(seconds)).toBe(text);
});

it.each([
  [0, "0 B"],
  [1023, "1023 B"],
  [1536, "1.5 KiB"],
  [200 * 2 ** 20, "200 MiB"],
  [5 * 2 ** 40, "5120 GiB"],
])("shows %d bytes as %s", (bytes, text) => {
  expect(byteSize(bytes)).toBe(text);
});

it.each([
  ["talk.mp3", "talk"],
  ["a.b.wav", "a.b"],
  ["noise", "noise"],
  [".hidden", ".hidden"],
])("takes the suffix off %s", (name, expected) => {
  expect(stem(name)).toBe(expected);
});

it("gives a count with its noun", () => {
  expect([count(0, "tag"), count(1, "tag"), count(2, "word")]).toEqual(["0 tags", "1 tag", "2 words"]);
});

it("names a day by what tells it apart from now", () => {
  const now = new Date(2026, 1, 3, 18, 0);
  expect(dayOf(new Date(2026, 1, 3, 14, 5).toISOString(), now)).toBe("today, 14:05");
  expect(dayOf(new Date(2026, 0, 9).toISOString(), now)).toBe("9 Jan");
  expect(dayOf(new Date(2024, 11, 31).toISOString(), now)).toBe("31 Dec 2024");
  expect(dayOf("nonsense", now)).toBe("");
});
