/** Find and replace: a plugin that marks what is found, and transactions that replace it. */

import { Fragment, type Node } from "prosemirror-model";
import { type EditorState, Plugin, PluginKey, TextSelection, type Transaction } from "prosemirror-state";
import { Decoration, DecorationSet } from "prosemirror-view";
import type { TagEntry } from "@/lib/api/types";
import { inlineOf } from "@/lib/editor/document";
import { ReplaceManyStep } from "@/lib/editor/replace-step";

export interface Search {
  text: string;
  matchCase: boolean;
}

export interface Match {
  from: number;
  to: number;
}

interface State {
  search: Search;
  matches: readonly Match[];
  index: number;
}

const KEY = new PluginKey<State>("find");
const NOTHING: State = { search: { text: "", matchCase: false }, matches: [], index: -1 };

export const findOf = (state: EditorState): State => KEY.getState(state) ?? NOTHING;
export const setSearch = (tr: Transaction, search: Search) => tr.setMeta(KEY, { search });

/** Where the text stands between tags; matches do not overlap. */
export function findMatches(doc: Node, { text, matchCase }: Search): Match[] {
  if (!text) return [];
  const fold = (value: string) => (matchCase ? value : foldCase(value));
  const wanted = fold(text);
  const matches: Match[] = [];
  doc.descendants((node, position) => {
    if (!node.isTextblock) return true;
    // One character for each position: a tag is one unit and matches nothing.
    const within = fold(node.textBetween(0, node.content.size, undefined, "\ufffc"));
    for (let at = within.indexOf(wanted); at >= 0; at = within.indexOf(wanted, at + wanted.length)) {
      matches.push({ from: position + 1 + at, to: position + 1 + at + wanted.length });
    }
    return false;
  });
  return matches;
}

/** Lower case where that keeps the length ("İ" would grow), so that places stay places. */
const foldCase = (text: string) =>
  [...text].map((c) => (c.toLowerCase().length === c.length ? c.toLowerCase() : c)).join("");

/** Select the next (or previous) match after the one that is selected. */
export function stepMatch(state: EditorState, by: 1 | -1): Transaction | null {
  const { matches, index } = findOf(state);
  const next = matches[(index + by + matches.length) % Math.max(matches.length, 1)];
  if (!next) return null;
  const at = matches.indexOf(next);
  return select(state.tr.setMeta(KEY, { index: at }), next);
}

const select = (tr: Transaction, { from, to }: Match) =>
  tr.setSelection(TextSelection.create(tr.doc, from, to)).scrollIntoView();

/** Replace the match that is selected, and go on to the next. */
export function replaceMatch(state: EditorState, text: string, vocabulary: readonly TagEntry[]): Transaction | null {
  const { matches, index } = findOf(state);
  const match = matches[Math.max(index, 0)];
  return match ? replace(state.tr, [match], text, vocabulary) : null;
}

/** Replace all matches in one step, to be undone in one. */
export function replaceAll(state: EditorState, text: string, vocabulary: readonly TagEntry[]): Transaction | null {
  const { matches } = findOf(state);
  return matches.length > 0 ? replace(state.tr, matches, text, vocabulary) : null;
}

function replace(tr: Transaction, matches: readonly Match[], text: string, vocabulary: readonly TagEntry[]) {
  const content = Fragment.from(inlineOf(text, vocabulary));
  return tr.step(new ReplaceManyStep(matches.map(({ from, to }) => ({ from, to, content }))));
}

export function findPlugin(): Plugin<State> {
  return new Plugin<State>({
    key: KEY,
    state: {
      init: () => NOTHING,
      apply(tr, state) {
        const meta: { search?: Search; index?: number } | undefined = tr.getMeta(KEY);
        const search = meta?.search ?? state.search;
        if (!tr.docChanged && search === state.search) return { ...state, index: meta?.index ?? state.index };
        const matches = findMatches(tr.doc, search);
        return { search, matches, index: Math.min(meta?.search ? 0 : state.index, matches.length - 1) };
      },
    },
    props: {
      decorations(state) {
        const { matches, index } = findOf(state);
        if (matches.length === 0) return null;
        const marks = matches.map(({ from, to }, at) =>
          Decoration.inline(from, to, { class: at === index ? "found found-current" : "found" }),
        );
        return DecorationSet.create(state.doc, marks);
      },
    },
  });
}
