/** The round trip's measures as people read them: how much the re-spoken sound resembles the original. */

interface Measure {
  label: string;
  unit: string;
  digits: number;
  /** In which direction it is better. */
  better: "higher" | "lower";
}

const MEASURES: Record<string, Measure> = {
  f0_correlation: { label: "Pitch contour", unit: "correlation", digits: 2, better: "higher" },
  f0_rmse_st: { label: "Pitch difference", unit: "semitones", digits: 1, better: "lower" },
  energy_correlation: { label: "Loudness contour", unit: "correlation", digits: 2, better: "higher" },
  energy_rmse_db: { label: "Loudness difference", unit: "dB", digits: 1, better: "lower" },
  mcd_db: { label: "Spectral distance", unit: "dB", digits: 1, better: "lower" },
  rate_error: { label: "Speaking rate error", unit: "ln ratio", digits: 2, better: "lower" },
  pause_error_s: { label: "Pause error", unit: "s", digits: 2, better: "lower" },
  voicing_error: { label: "Voicing error", unit: "share", digits: 2, better: "lower" },
  speaker_similarity: { label: "Same voice", unit: "cosine", digits: 2, better: "higher" },
  mos_overall: { label: "Predicted quality", unit: "of 5", digits: 1, better: "higher" },
  mos_signal: { label: "Predicted signal", unit: "of 5", digits: 1, better: "higher" },
  mos_background: { label: "Predicted background", unit: "of 5", digits: 1, better: "higher" },
};

export interface ShownMeasure {
  name: string;
  label: string;
  value: string;
  unit: string;
  better: "higher" | "lower" | null;
}

/** Measures that were taken, in the order above; names that are not known here keep their own. */
export function shownMeasures(measures: Record<string, number | null>): ShownMeasure[] {
  const order = Object.keys(MEASURES);
  const rank = (name: string) => (order.indexOf(name) + order.length + 1) % (order.length + 1);
  return Object.entries(measures)
    .flatMap(([name, value]) => (value === null ? [] : [{ name, value }]))
    .sort((a, b) => rank(a.name) - rank(b.name))
    .map(({ name, value }) => {
      const known = MEASURES[name];
      const { label = name, unit = "", digits = 2, better = null } = known ?? {};
      return { name, label, value: value.toFixed(digits), unit, better };
    });
}
