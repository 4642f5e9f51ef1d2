import { expect, it } from "vitest";
import { shownMeasures } from "@/lib/measures";

it("shows what was measured, what is known first, and leaves out what could not be measured", () => {
  const shown = shownMeasures({ new_measure: 1, mcd_db: 6.04, f0_correlation: 0.456, mos_overall: null });
  expect(shown.map(({ label, value, unit }) => `${label}: ${value} ${unit}`.trim())).toEqual([
    "Pitch contour: 0.46 correlation",
    "Spectral distance: 6.0 dB",
    "new_measure: 1.00",
  ]);
});
