/**
 * Cuts the text of a segment into words, tags and what stands between them, by the places that the server gives.
 *
 * The server counts code points, as Python does; here places are UTF-16 offsets, as JavaScript's strings have them.
 */

import type { Transcript, TranscriptTag, TranscriptWord } from "@/lib/api/types";

export type Piece =
  | { kind: "text"; text: string; start: number }
  | { kind: "word"; text: string; start: number; word: TranscriptWord }
  | { kind: "tag"; text: string; start: number; tag: TranscriptTag };

/** The UTF-16 offset of each code point of `text`, and of its end. */
export function codePointOffsets(text: string): (codePoint: number) => number {
  if (text.length === [...text].length) return (codePoint) => codePoint;
  const offsets = [0];
  for (const character of text) offsets.push((offsets.at(-1) as number) + character.length);
  return (codePoint) => offsets[codePoint] ?? text.length;
}

/** The pieces of every segment; the texts of a segment's pieces joined are exactly its text. */
export function piecesOf({ segments, words, tags }: Pick<Transcript, "segments" | "words" | "tags">): Piece[][] {
  const placed: Piece[][] = segments.map(() => []);
  const offsets = segments.map(({ text }) => codePointOffsets(text));
  const place = (item: TranscriptWord | TranscriptTag) => {
    const { segment: index, start_char: first, end_char: end } = item;
    const segment = segments[index ?? -1];
    const offset = offsets[index ?? -1];
    if (!segment || !offset || first === null || end === null) return;
    const start = offset(first);
    const text = segment.text.slice(start, offset(end));
    placed[index ?? -1]?.push(
      "word" in item ? { kind: "word", text, start, word: item } : { kind: "tag", text, start, tag: item },
    );
  };
  words.forEach(place);
  tags.forEach(place);
  return placed.map((pieces, index) => withText(segments[index]?.text ?? "", pieces));
}

/** Fill the gaps; a tag inside a word (`un[laughs]believable`) splits it, and both halves are the word. */
function withText(text: string, pieces: Piece[]): Piece[] {
  const tags = pieces.filter(({ kind }) => kind === "tag");
  const whole = pieces.flatMap((piece) => (piece.kind === "word" ? withoutTags(piece, tags) : [piece]));
  whole.sort((a, b) => a.start - b.start);
  const filled: Piece[] = [];
  let end = 0;
  for (const piece of whole) {
    if (piece.start > end) filled.push({ kind: "text", text: text.slice(end, piece.start), start: end });
    filled.push(piece);
    end = piece.start + piece.text.length;
  }
  if (end < text.length) filled.push({ kind: "text", text: text.slice(end), start: end });
  return filled;
}

function withoutTags(word: Piece & { kind: "word" }, tags: Piece[]): Piece[] {
  const end = word.start + word.text.length;
  const inside = tags.filter((tag) => tag.start >= word.start && tag.start < end);
  const parts: Piece[] = [];
  let at = word.start;
  const cut = (to: number) => {
    if (to > at) parts.push({ ...word, start: at, text: word.text.slice(at - word.start, to - word.start) });
  };
  for (const tag of inside) {
    cut(tag.start);
    at = tag.start + tag.text.length;
  }
  cut(end);
  return parts;
}
