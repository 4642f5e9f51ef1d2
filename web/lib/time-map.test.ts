import { expect, it } from "vitest";
import { toOriginal, toRespoken } from "@/lib/time-map";

const sentence = (source: [number, number] | null, spoken: [number, number]) => ({
  text: "",
  cached: false,
  source_start_s: source ? source[0] : null,
  source_end_s: source ? source[1] : null,
  start_s: spoken[0],
  end_s: spoken[1],
});

// One second at half speed, a pause of two seconds that became one, one second at double speed.
const SENTENCES = [sentence([1, 2], [0, 2]), sentence([4, 5], [3, 3.5])];

it.each([
  [1, 0],
  [1.5, 1],
  [2, 2],
  [3, 2.5],
  [4.5, 3.25],
  [6, 4.5],
])("%d s of the original is %d s spoken again", (original, respoken) => {
  expect(toRespoken(SENTENCES, original)).toBeCloseTo(respoken);
  expect(toOriginal(SENTENCES, respoken)).toBeCloseTo(original);
});

it("goes at the same pace where there are no sentences to go by", () => {
  expect(toRespoken([], 3)).toBe(3);
  expect(toRespoken([sentence(null, [0, 4])], 3)).toBe(3);
});
