/** The same place in two recordings of one text: the original, and the text spoken again sentence by sentence. */

import type { SpokenSentence } from "@/lib/api/types";

interface Pair {
  original: number;
  respoken: number;
}

/**
 * Matching times, in order: where each sentence begins and ends in both. Sentences that have no place in the original
 * give none.
 */
function pairsOf(sentences: readonly SpokenSentence[]): Pair[] {
  const pairs: Pair[] = [];
  for (const { source_start_s, source_end_s, start_s, end_s } of sentences) {
    if (source_start_s === null || source_end_s === null) continue;
    for (const pair of [
      { original: source_start_s, respoken: start_s },
      { original: source_end_s, respoken: end_s },
    ]) {
      const last = pairs.at(-1);
      if (!last || (pair.original >= last.original && pair.respoken >= last.respoken)) pairs.push(pair);
    }
  }
  return pairs;
}

function between(pairs: readonly Pair[], from: keyof Pair, to: keyof Pair, seconds: number): number {
  let before: Pair = { original: 0, respoken: 0 };
  for (const pair of pairs) {
    if (pair[from] >= seconds) {
      const length = pair[from] - before[from];
      const share = length > 0 ? (seconds - before[from]) / length : 1;
      return before[to] + share * (pair[to] - before[to]);
    }
    before = pair;
  }
  return before[to] + (seconds - before[from]); // after the last sentence both go on at the same pace
}

/** The time in the re-spoken sound of what is at `seconds` in the original. */
export const toRespoken = (sentences: readonly SpokenSentence[], seconds: number) =>
  between(pairsOf(sentences), "original", "respoken", seconds);

/** The other way round. */
export const toOriginal = (sentences: readonly SpokenSentence[], seconds: number) =>
  between(pairsOf(sentences), "respoken", "original", seconds);
