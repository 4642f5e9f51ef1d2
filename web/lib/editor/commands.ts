/** What people do to a transcript besides typing: cut and join segments, name and merge speakers, replace a passage. */

import type { Node } from "prosemirror-model";
import { Fragment } from "prosemirror-model";
import { type Command, type EditorState, TextSelection, type Transaction } from "prosemirror-state";
import type { Transcript } from "@/lib/api/types";
import { documentOf, speakerNamesOf } from "@/lib/editor/document";
import { schema, segmentOf } from "@/lib/editor/schema";
import { type PlacedWord, placedWords, setWords, wordsOf } from "@/lib/editor/words";

/** Cut a segment where the caret stands, at the time of the next word; not where no time is known: none is invented. */
export const splitSegment: Command = (state, dispatch) => {
  const { $from, empty } = state.selection;
  if (!empty || $from.parent.type !== schema.nodes.segment) return true;
  const atEdge = $from.parentOffset === 0 || $from.parentOffset === $from.parent.content.size;
  const atS = wordsOf(state).find(
    ({ from, startS }) => from >= $from.pos && from < $from.end() && startS !== null,
  )?.startS;
  if (atEdge || atS === undefined || atS === null) return true;
  const { startS, endS, speaker } = segmentOf($from.parent);
  const tr = state.tr.split($from.pos, 1, [{ type: schema.nodes.segment, attrs: { startS: atS, endS, speaker } }]);
  tr.setNodeMarkup($from.before(), null, { startS, endS: atS, speaker });
  const second = tr.mapping.map($from.pos, 1);
  if (/^\s/.test(tr.doc.resolve(second).nodeAfter?.text ?? "")) tr.delete(second, second + 1);
  dispatch?.(tr.scrollIntoView());
  return true;
};

/** Join a segment to the one before it, when the caret stands at its start. */
export const joinSegments: Command = (state, dispatch) => {
  const { $from, empty } = state.selection;
  if (!empty || $from.parentOffset > 0 || $from.index(0) === 0) return false;
  const before = state.doc.child($from.index(0) - 1);
  const { startS, speaker } = segmentOf(before);
  const tr = state.tr;
  const boundary = $from.before();
  const needsSpace = before.content.size > 0 && !/\s$/.test(before.textContent);
  if (needsSpace) tr.insertText(" ", boundary - 1);
  tr.join(boundary + (needsSpace ? 1 : 0));
  tr.setNodeMarkup(boundary - before.nodeSize, null, { startS, endS: segmentOf($from.parent).endS, speaker });
  dispatch?.(tr.scrollIntoView());
  return true;
};

/** Delete a tag as one. */
const deleteTag =
  (direction: -1 | 1): Command =>
  (state, dispatch) => {
    const { selection } = state;
    let from: number;
    // Selected alone, as a node or (which a browser may make of it) as a range.
    if (selection.to === selection.from + 1 && selection.$from.nodeAfter?.type === schema.nodes.tag)
      from = selection.from;
    else {
      const node = direction < 0 ? selection.$from.nodeBefore : selection.$from.nodeAfter;
      if (!selection.empty || node?.type !== schema.nodes.tag) return false;
      from = direction < 0 ? selection.from - 1 : selection.from;
    }
    dispatch?.(state.tr.delete(from, from + 1).scrollIntoView());
    return true;
  };

export const deleteTagBefore = deleteTag(-1);
export const deleteTagAfter = deleteTag(1);

/** Give a speaker a name; an empty one takes it away. */
export function renameSpeaker(state: EditorState, speaker: string, name: string): Transaction {
  const { [speaker]: _, ...others } = speakerNamesOf(state.doc);
  const trimmed = name.trim();
  return state.tr.setDocAttribute("speakerNames", trimmed ? { ...others, [speaker]: trimmed } : others);
}

/** Let all that one speaker said be another's. */
export function mergeSpeakers(state: EditorState, from: string, into: string): Transaction {
  const tr = renameSpeaker(state, from, "");
  state.doc.forEach((node, offset) => {
    if (segmentOf(node).speaker === from) tr.setNodeAttribute(offset, "speaker", into);
  });
  return tr;
}

/** Say who speaks one segment. */
export function setSpeaker(state: EditorState, segmentStart: number, speaker: string | null): Transaction {
  return state.tr.setNodeAttribute(segmentStart, "speaker", speaker);
}

/** The name of a speaker who is not there yet. */
export function newSpeaker(speakers: readonly string[]): string {
  for (let number = 1; ; number++) {
    if (!speakers.includes(`SPEAKER_${number}`)) return `SPEAKER_${number}`;
  }
}

/**
 * Put a passage that was transcribed again in the place of the words that were spoken between two times.
 *
 * Whole words are replaced, from the first that ends after `startS` to the last that begins before `endS`; null where
 * there are none.
 */
export function replacePassage(
  state: EditorState,
  passage: Transcript,
  startS: number,
  endS: number,
): Transaction | null {
  const inside = wordsOf(state).filter((word) => isWithin(word, startS, endS));
  const first = inside[0];
  const last = inside.at(-1);
  if (!first || !last) return null;
  const fresh = documentOf(passage, {});
  const content: Node[] = [];
  const moved: PlacedWord[] = [];
  const words = placedWords(fresh, passage);
  let size = 0;
  fresh.forEach((segment, offset) => {
    if (segment.content.size === 0) return;
    if (content.length > 0) {
      content.push(schema.text(" "));
      size += 1;
    }
    const by = first.from + size - (offset + 1);
    for (const word of words.filter(({ from }) => from > offset && from < offset + segment.nodeSize)) {
      moved.push({ ...word, from: word.from + by, to: word.to + by });
    }
    content.push(...segment.children);
    size += segment.content.size;
  });
  const $last = state.doc.resolve(last.to);
  const tr = state.tr;
  const $first = state.doc.resolve(first.from);
  if ($first.parent === $last.parent) tr.replaceWith(first.from, last.to, Fragment.from(content));
  else {
    // Over several segments: the first takes the new text, and the words of the others go.
    const rest = inside.filter(({ from }) => from >= $first.end());
    for (let index = rest.length - 1; index >= 0; index--) {
      const word = rest[index] as PlacedWord;
      tr.delete(word.from, word.to);
    }
    tr.replaceWith(first.from, $first.end(), Fragment.from(content));
  }
  const kept = wordsOf(state)
    .filter((word) => !inside.includes(word))
    .map((word) => ({ ...word, from: tr.mapping.map(word.from, 1), to: tr.mapping.map(word.to, -1) }));
  const all = [...kept, ...moved].sort((a, b) => a.from - b.from);
  return setWords(tr, all)
    .setSelection(TextSelection.near(tr.doc.resolve(first.from)))
    .scrollIntoView();
}

const isWithin = ({ startS, endS }: PlacedWord, fromS: number, toS: number) =>
  startS !== null && endS !== null && endS > fromS && startS < toS;
