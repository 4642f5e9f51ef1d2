/** What a transcript is in the editor: segments of text and tags. A tag is one unit: no half of it can be deleted. */

import { type Node, Schema } from "prosemirror-model";
import type { Category, SpeakerNames } from "@/lib/api/types";

export interface TagAttributes {
  /** As written, brackets included. */
  text: string;
  category: Category | null;
  known: boolean;
  confidence: number | null;
  startS: number | null;
}

export interface SegmentAttributes {
  startS: number;
  endS: number;
  speaker: string | null;
}

export const UNSURE_BELOW = 0.5;

export const schema = new Schema({
  nodes: {
    doc: { content: "segment*", attrs: { speakerNames: { default: {} as SpeakerNames } } },
    segment: {
      content: "(text | tag)*",
      attrs: { startS: {}, endS: {}, speaker: { default: null } },
      toDOM: () => ["p", 0],
    },
    tag: {
      inline: true,
      atom: true,
      attrs: {
        text: {},
        category: { default: null },
        known: { default: false },
        confidence: { default: null },
        startS: { default: null },
      },
      leafText: (node) => node.attrs.text,
      toDOM: (node) => tagDOM(node.attrs as TagAttributes),
    },
    text: {},
  },
});

function tagDOM({ text, category, confidence }: TagAttributes) {
  const name = text.slice(1, -1);
  const unsure = confidence !== null && confidence < UNSURE_BELOW;
  const attributes = { class: "chip", "data-tag": category ?? "unknown", ...(unsure && { "data-unsure": "" }) };
  return ["span", attributes, ["i", "["], name, ["i", "]"]] as const;
}

export const segmentText = (segment: Node): string => segment.textBetween(0, segment.content.size);

/** The attributes of a document's segment. */
export const segmentOf = (node: Node) => node.attrs as SegmentAttributes;
export const tagOf = (node: Node) => node.attrs as TagAttributes;

const textLength = (child: Node) => (child.isText ? child.nodeSize : tagOf(child).text.length);

/** The document position of an offset in a segment's text; an offset inside a tag gives the tag's start. */
export function positionOf(segment: Node, segmentStart: number, offset: number): number {
  let position = segmentStart + 1;
  let rest = offset;
  for (const child of segment.children) {
    const length = textLength(child);
    if (rest < length) return child.isText ? position + rest : position;
    rest -= length;
    position += child.nodeSize;
  }
  return position;
}

/** The offset in a segment's text of a place inside it, counted from the segment's first position. */
export function offsetOf(segment: Node, place: number): number {
  return segment.textBetween(0, Math.max(0, Math.min(place, segment.content.size))).length;
}
