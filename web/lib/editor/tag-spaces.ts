/** Keeps one space, not two, where a tag was taken out, whatever took it out: a key, a cut, the browser itself. */

import { isHistoryTransaction } from "prosemirror-history";
import type { ResolvedPos } from "prosemirror-model";
import { type EditorState, Plugin, type Transaction } from "prosemirror-state";
import { Mapping } from "prosemirror-transform";
import { schema } from "@/lib/editor/schema";

export function tagSpacesPlugin(): Plugin {
  return new Plugin({
    appendTransaction(transactions, before, after) {
      // Undo and redo bring back what was there, spaces included.
      if (!transactions.some((tr) => tr.docChanged) || transactions.some(isHistoryTransaction)) return null;
      return withoutSpareSpaces(before, after, new Mapping(transactions.flatMap(({ mapping }) => mapping.maps)));
    },
  });
}

function withoutSpareSpaces(before: EditorState, after: EditorState, mapping: Mapping): Transaction | null {
  const gaps = new Set<number>();
  before.doc.descendants((node, position) => {
    if (node.type !== schema.nodes.tag) return;
    const gap = mapping.map(position, -1);
    // Nothing has taken its place.
    if (gap === mapping.map(position + 1, 1) && hasSpareSpace(after.doc.resolve(gap))) gaps.add(gap);
  });
  if (gaps.size === 0) return null;
  const tr = after.tr;
  for (const gap of [...gaps].sort((a, b) => b - a)) tr.delete(gap, gap + 1);
  return tr;
}

/** Whether a space follows that follows another one, or begins a segment. */
function hasSpareSpace({ parent, parentOffset, nodeBefore, nodeAfter }: ResolvedPos): boolean {
  if (parent.type !== schema.nodes.segment || !/^\s/.test(nodeAfter?.text ?? "")) return false;
  return parentOffset === 0 || /\s$/.test(nodeBefore?.text ?? "");
}
