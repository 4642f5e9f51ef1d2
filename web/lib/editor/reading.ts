/** Brings a document in step with how the server read it: which brackets are tags, and where the words are. */

import type { Node } from "prosemirror-model";
import type { EditorState, Transaction } from "prosemirror-state";
import type { Transcript } from "@/lib/api/types";
import { tagAttributes } from "@/lib/editor/document";
import { positionOf, schema, segmentText, tagOf } from "@/lib/editor/schema";
import { placedWords, setWords } from "@/lib/editor/words";
import { type Piece, piecesOf } from "@/lib/text-places";

/**
 * A transaction that takes over the server's reading, not to be undone; null where the texts are not the same any
 * more, because somebody typed on: the next save will bring another reading.
 */
export function takeReading(state: EditorState, transcript: Transcript): Transaction | null {
  const { doc } = state;
  const isSame =
    doc.childCount === transcript.segments.length &&
    transcript.segments.every(({ text }, index) => segmentText(doc.child(index)) === text);
  if (!isSame) return null;
  const tr = state.tr.setMeta("addToHistory", false);
  const pieces = piecesOf(transcript);
  const starts: number[] = [];
  doc.forEach((_, offset) => {
    starts.push(offset);
  });
  for (let index = doc.childCount - 1; index >= 0; index--) {
    readSegment(tr, doc.child(index), starts[index] as number, pieces[index] as Piece[]);
  }
  return setWords(tr, placedWords(tr.doc, transcript));
}

/** From the end to the start, so that no step moves what is still to be done. */
function readSegment(tr: Transaction, segment: Node, start: number, pieces: Piece[]): void {
  const read = new Map(pieces.flatMap((piece) => (piece.kind === "tag" ? [[piece.start, piece]] : [])));
  const written = new Map<number, { node: Node; position: number }>();
  let offset = 0;
  segment.forEach((node, inner) => {
    if (node.isText) offset += node.nodeSize;
    else {
      written.set(offset, { node, position: start + 1 + inner });
      offset += tagOf(node).text.length;
    }
  });
  for (const at of [...new Set([...read.keys(), ...written.keys()])].sort((a, b) => b - a)) {
    const piece = read.get(at);
    const tag = written.get(at);
    if (tag && (!piece || piece.text !== tagOf(tag.node).text)) {
      tr.replaceWith(tag.position, tag.position + 1, schema.text(tagOf(tag.node).text));
    } else if (tag && piece) {
      for (const [name, value] of Object.entries(tagAttributes(piece.text, piece.tag))) {
        if (tag.node.attrs[name] !== value) tr.setNodeAttribute(tag.position, name, value);
      }
    } else if (piece) {
      const from = positionOf(segment, start, at);
      const node = schema.node("tag", tagAttributes(piece.text, piece.tag));
      if (positionOf(segment, start, at + piece.text.length) - from === piece.text.length) {
        tr.replaceWith(from, from + piece.text.length, node);
      }
    }
  }
}
