import { expect, it } from "vitest";
import { peaks } from "@/lib/waveform";

it("takes the greatest magnitude of each stretch, relative to the greatest of all", () => {
  expect(peaks(Float32Array.of(0, 0.25, -0.5, 0.125, 0, 0), 3)).toEqual([0.5, 1, 0]);
});

it("uses every sample where stretches do not divide evenly", () => {
  const samples = new Float32Array(10).fill(0.1);
  samples[9] = 1;
  expect(peaks(samples, 3)[2]).toBe(1);
});

it("gives zeros for silence, for no samples, and where there are fewer samples than peaks", () => {
  expect(peaks(new Float32Array(8), 2)).toEqual([0, 0]);
  expect(peaks(new Float32Array(0), 2)).toEqual([0, 0]);
  expect(peaks(Float32Array.of(0.5), 2)).toEqual([0, 1]);
});
