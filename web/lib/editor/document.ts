/** Between the server's transcripts and the editor's documents. Knows nothing of editing. */

import type { Node } from "prosemirror-model";
import type { EditedSegment, SpeakerNames, TagEntry, Transcript, TranscriptTag } from "@/lib/api/types";
import { schema, segmentOf, segmentText, type TagAttributes } from "@/lib/editor/schema";
import { piecesOf } from "@/lib/text-places";

export function tagAttributes(text: string, tag: TranscriptTag): TagAttributes {
  return { text, category: tag.category, known: tag.known, confidence: tag.confidence, startS: tag.start_s };
}

/** A transcript as a document. */
export function documentOf(transcript: Transcript, speakerNames: SpeakerNames): Node {
  const segments = piecesOf(transcript).map((pieces, index) => {
    const { start_s: startS, end_s: endS, speaker } = transcript.segments[index] as Transcript["segments"][number];
    const content = pieces.map((piece) =>
      piece.kind === "tag" ? schema.node("tag", tagAttributes(piece.text, piece.tag)) : schema.text(piece.text),
    );
    return schema.node("segment", { startS, endS, speaker }, content);
  });
  return schema.node("doc", { speakerNames }, segments);
}

/** What a document says, as the server takes it back. */
export function segmentsOf(doc: Node): EditedSegment[] {
  return doc.children.map((node) => {
    const { startS, endS, speaker } = segmentOf(node);
    return { start_s: startS, end_s: endS, speaker, text: segmentText(node) };
  });
}

export const speakerNamesOf = (doc: Node): SpeakerNames => doc.attrs.speakerNames;

/** The speakers in the order in which they first speak. */
export function speakersOf(doc: Node): string[] {
  return [...new Set(doc.children.flatMap((node) => segmentOf(node).speaker ?? []))];
}

/** "SPEAKER_2" as people say it, unless it was given a name. */
export function speakerLabel(speaker: string, names: SpeakerNames): string {
  const number = /^SPEAKER_(\d+)$/.exec(speaker)?.[1];
  return names[speaker] || (number === undefined ? speaker : `Speaker ${Number(number)}`);
}

/** The attributes of a tag that someone writes: those of the vocabulary, or unknown until the server says more. */
export function writtenTag(name: string, vocabulary: readonly TagEntry[]): TagAttributes {
  const entry = vocabulary.find(({ tag }) => tag === name.toLowerCase());
  const category = entry?.category ?? null;
  return { text: `[${name}]`, category, known: entry !== undefined, confidence: null, startS: null };
}

const WRITTEN_TAG = /\[([^[\]\n]*\p{L}[^[\]\n]*)\]/gu;

/** Pasted text as the inside of a segment; what stands in brackets becomes tags. */
export function inlineOf(text: string, vocabulary: readonly TagEntry[]): Node[] {
  const nodes: Node[] = [];
  let end = 0;
  const line = text.replace(/\s+/g, " ");
  for (const match of line.matchAll(WRITTEN_TAG)) {
    if (match.index > end) nodes.push(schema.text(line.slice(end, match.index)));
    nodes.push(schema.node("tag", writtenTag(match[1] as string, vocabulary)));
    end = match.index + match[0].length;
  }
  if (end < line.length) nodes.push(schema.text(line.slice(end)));
  return nodes;
}
