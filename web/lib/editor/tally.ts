/** What there is in a document, counted. */

import type { Node } from "prosemirror-model";
import type { CategoryName } from "@/lib/categories";
import { schema, tagOf, UNSURE_BELOW } from "@/lib/editor/schema";
import type { PlacedWord } from "@/lib/editor/words";

export interface Tally {
  tags: Record<CategoryName["id"], number[]>;
  stressed: number[];
  unsure: number[];
}

/** The positions of the tags of each category, of the stressed words, and of what was hardly understood. */
export function tallyOf(doc: Node, words: readonly PlacedWord[]): Tally {
  const tally: Tally = {
    tags: { emotion: [], delivery: [], "non-verbal": [], pause: [], unknown: [] },
    stressed: words.flatMap(({ emphasis, from }) => (emphasis ? [from] : [])),
    unsure: words.flatMap(({ confidence, from }) => (confidence !== null && confidence < UNSURE_BELOW ? [from] : [])),
  };
  doc.descendants((node, position) => {
    if (node.type === schema.nodes.tag) tally.tags[tagOf(node).category ?? "unknown"].push(position);
  });
  return tally;
}

/** The next of some positions after one, going round. */
export const nextPosition = (positions: readonly number[], after: number): number | undefined =>
  positions.find((position) => position > after) ?? positions[0];
