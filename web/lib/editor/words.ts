/**
 * The words of a document with their times: a plugin that keeps their places while the text around them is edited.
 *
 * Draws what is known of words: stress, uncertainty, the word in play, and what each emotion or delivery tag governs.
 * What a word is the server says; a word that is being typed is none until it has been saved.
 */

import type { Node } from "prosemirror-model";
import { type EditorState, Plugin, PluginKey, type Transaction } from "prosemirror-state";
import { StepMap } from "prosemirror-transform";
import { Decoration, DecorationSet } from "prosemirror-view";
import type { Category, Transcript } from "@/lib/api/types";
import { positionOf, schema, tagOf, UNSURE_BELOW } from "@/lib/editor/schema";
import { piecesOf } from "@/lib/text-places";

/** A word between two positions of the document; times in seconds, null where nobody knows. */
export interface PlacedWord {
  from: number;
  to: number;
  startS: number | null;
  endS: number | null;
  emphasis: boolean;
  confidence: number | null;
}

interface WordsState {
  words: readonly PlacedWord[];
  marks: DecorationSet;
  /** Index of the word in play, -1 for none. */
  current: number;
}

const KEY = new PluginKey<WordsState>("words");

export const wordsOf = (state: EditorState): readonly PlacedWord[] => KEY.getState(state)?.words ?? [];

/** Give a document its words, as the server reads it now. */
export const setWords = (tr: Transaction, words: readonly PlacedWord[]) => tr.setMeta(KEY, { words });
export const setCurrentWord = (tr: Transaction, current: number) => tr.setMeta(KEY, { current });
export const currentWord = (state: EditorState): number => KEY.getState(state)?.current ?? -1;

/** The words of a transcript at their places in the document that is made of it. */
export function placedWords(doc: Node, transcript: Transcript): PlacedWord[] {
  const words: PlacedWord[] = [];
  let start = 0;
  piecesOf(transcript).forEach((pieces, index) => {
    const segment = doc.child(index);
    for (const piece of pieces) {
      if (piece.kind !== "word") continue;
      const { start_s: startS, end_s: endS, emphasis, confidence } = piece.word;
      const from = positionOf(segment, start, piece.start);
      words.push({ from, to: from + piece.text.length, startS, endS, emphasis, confidence });
    }
    start += segment.nodeSize;
  });
  return words;
}

/** Where a player stands that was sent to a time: a little before it, sometimes. */
const SLACK_S = 0.01;

/** Index of the word that is spoken at a time (until the next one begins), or -1. Words without times are passed over. */
export function wordAt(words: readonly PlacedWord[], seconds: number): number {
  let found = -1;
  for (let index = 0; index < words.length; index++) {
    const startS = words[index]?.startS;
    if (startS === null || startS === undefined) continue;
    if (startS > seconds + SLACK_S) break;
    found = index;
  }
  return found;
}

/** The time at which what stands at a position is spoken: of its word, or of the next one that has a time. */
export function timeAt(state: EditorState, position: number): number | null {
  const node = state.doc.resolve(position).nodeAfter;
  if (node?.type === schema.nodes.tag && tagOf(node).startS !== null) return tagOf(node).startS;
  const words = wordsOf(state);
  return words.find(({ to, startS }) => to >= position && startS !== null)?.startS ?? null;
}

/** The tags of a document with the times of their places, in order; those of which nobody knows the time are left out. */
export function timedTags(
  doc: Node,
  words: readonly PlacedWord[],
): { name: string; category: Category | null; atS: number }[] {
  const timed: ReturnType<typeof timedTags> = [];
  let next = 0;
  doc.descendants((node, position) => {
    if (node.type !== schema.nodes.tag) return;
    for (let word = words[next]; word && (word.to < position || word.startS === null); ) word = words[++next];
    const { text, category, startS } = tagOf(node);
    const atS = startS ?? words[next]?.startS ?? null;
    if (atS !== null) timed.push({ name: text.slice(1, -1), category, atS });
  });
  return timed;
}

const HOLDS: ReadonlySet<Category | null> = new Set<Category>(["emotion", "delivery"]);
const ENDS_SENTENCE = /(?<!\.\.)[.!?]["'”’)]*$/;

export interface Scope {
  category: Category;
  tag: string;
  from: number;
  to: number;
}

/** What each emotion or delivery tag governs: until the next of its category, or the end of the sentence it is in. */
export function scopesOf(doc: Node, words: readonly PlacedWord[]): Scope[] {
  const scopes: Scope[] = [];
  let next = 0;
  doc.forEach((segment, offset) => {
    const open = new Map<Category, Scope>();
    const end = offset + segment.nodeSize;
    const tags: { position: number; node: Node }[] = [];
    segment.forEach((node, inner) => {
      if (node.type === schema.nodes.tag && HOLDS.has(tagOf(node).category)) {
        tags.push({ position: offset + 1 + inner, node });
      }
    });
    let nextTag = 0;
    const openTags = (before: number) => {
      for (let tag = tags[nextTag]; tag && tag.position < before; tag = tags[++nextTag]) {
        const category = tagOf(tag.node).category as Category;
        open.set(category, { category, tag: tagOf(tag.node).text, from: -1, to: -1 });
      }
    };
    for (let word = words[next]; word && word.from < end; word = words[++next]) {
      openTags(word.from);
      for (const scope of open.values()) {
        if (scope.from < 0) {
          scope.from = word.from;
          scopes.push(scope);
        }
        scope.to = word.to;
      }
      // Asked of the segment: the document would look for it from its start, for each word.
      if (open.size > 0 && ENDS_SENTENCE.test(segment.textBetween(word.from - offset - 1, word.to - offset - 1))) {
        open.clear();
      }
    }
  });
  return scopes;
}

function marksOf(doc: Node, words: readonly PlacedWord[]): DecorationSet {
  const marks = scopesOf(doc, words).map(({ from, to, category, tag }) =>
    Decoration.inline(from, to, { class: `scope scope-${category}`, "data-scope": tag }),
  );
  for (const { from, to, emphasis, confidence } of words) {
    if (emphasis) marks.push(Decoration.inline(from, to, { nodeName: "em", class: "stressed" }));
    if (confidence !== null && confidence < UNSURE_BELOW) {
      const title = `heard with ${Math.round(confidence * 100)} % confidence`;
      marks.push(Decoration.inline(from, to, { class: "unsure", title }));
    }
  }
  return DecorationSet.create(doc, marks);
}

/** Words whose text an edit took away are gone; the others move with the text. */
function moved(words: readonly PlacedWord[], tr: Transaction): readonly PlacedWord[] {
  return tr.mapping.maps.reduce(movedBy, words);
}

/** In one go through words and changes, both in order: each word would else be moved through all changes before it. */
function movedBy(words: readonly PlacedWord[], map: StepMap): readonly PlacedWord[] {
  const changes: [from: number, size: number, newSize: number][] = [];
  map.forEach((from, to, newFrom, newTo) => {
    changes.push([from, to - from, newTo - newFrom]);
  });
  let next = 0;
  let shift = 0;
  return words.flatMap((word) => {
    for (let change = changes[next]; change && change[0] + change[1] < word.from; change = changes[++next]) {
      shift += change[2] - change[1];
    }
    let last = next;
    while ((changes[last]?.[0] ?? Number.POSITIVE_INFINITY) <= word.to) last++;
    const near = new StepMap(changes.slice(next, last).flat());
    const from = near.map(word.from, 1) + shift;
    const to = near.map(word.to, -1) + shift;
    return from < to ? [{ ...word, from, to }] : [];
  });
}

export function wordsPlugin(initial: readonly PlacedWord[]): Plugin<WordsState> {
  return new Plugin<WordsState>({
    key: KEY,
    state: {
      init: (_, { doc }) => ({ words: initial, marks: marksOf(doc, initial), current: -1 }),
      apply(tr, state) {
        const given: Partial<WordsState> | undefined = tr.getMeta(KEY);
        const words = given?.words ?? (tr.docChanged ? moved(state.words, tr) : state.words);
        const marks = words === state.words ? state.marks : marksOf(tr.doc, words);
        const current = given?.current ?? (words.length === state.words.length ? state.current : -1);
        return { words, marks, current };
      },
    },
    props: {
      decorations(state) {
        const { words, marks, current } = KEY.getState(state) as WordsState;
        const word = words[current];
        return word ? marks.add(state.doc, [Decoration.inline(word.from, word.to, { class: "current" })]) : marks;
      },
    },
  });
}
