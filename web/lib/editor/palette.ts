/** Tags by typing `[`: a plugin that says which tags are meant, and puts the chosen one in. Draws nothing. */

import { type EditorState, NodeSelection, Plugin, PluginKey, type Transaction } from "prosemirror-state";
import type { EditorView } from "prosemirror-view";
import type { TagEntry } from "@/lib/api/types";
import { writtenTag } from "@/lib/editor/document";
import { schema, tagOf } from "@/lib/editor/schema";

export interface PaletteState {
  /** What the chosen tag replaces. */
  from: number;
  to: number;
  query: string;
  items: readonly TagEntry[];
  index: number;
}

interface State {
  open: PaletteState | null;
  /** Where Escape closed it: it stays closed there. */
  closedAt: number;
}

const KEY = new PluginKey<State>("palette");
const BEGUN = /\[([^[\]\n]{0,30})$/;

export const paletteOf = (state: EditorState): PaletteState | null => KEY.getState(state)?.open ?? null;

/** Tags whose name or category begins with the query, then those that contain it. */
export function matchTags(tags: readonly TagEntry[], query: string): TagEntry[] {
  const wanted = query.trim().toLowerCase();
  const begins = ({ tag }: TagEntry) =>
    tag.split(" ").some((word) => word.startsWith(wanted)) || tag.startsWith(wanted);
  const holds = (entry: TagEntry) =>
    !begins(entry) && [entry.tag, entry.category, entry.group].join(" ").includes(wanted);
  return [...tags.filter(begins), ...tags.filter(holds)];
}

function openAt(state: EditorState, vocabulary: readonly TagEntry[]): PaletteState | null {
  const { selection } = state;
  if (selection instanceof NodeSelection && selection.node.type === schema.nodes.tag) {
    return { from: selection.from, to: selection.to, query: "", items: vocabulary, index: 0 };
  }
  if (!selection.empty) return null;
  const { $from } = selection;
  const before = $from.parent.textBetween(0, $from.parentOffset, undefined, "\ufffc");
  const match = BEGUN.exec(before);
  if (!match) return null;
  const query = match[1] as string;
  return { from: $from.pos - match[0].length, to: $from.pos, query, items: matchTags(vocabulary, query), index: 0 };
}

/** Put a tag where the palette stands, with spaces around it where words would touch it. */
export function insertTag(state: EditorState, name: string, vocabulary: readonly TagEntry[]): Transaction {
  const open = paletteOf(state);
  const [from, to] = open ? [open.from, open.to] : [state.selection.from, state.selection.to];
  const $from = state.doc.resolve(from);
  const $to = state.doc.resolve(to);
  const before = $from.parent.textBetween(Math.max(0, $from.parentOffset - 1), $from.parentOffset);
  const after = $to.parent.textBetween($to.parentOffset, Math.min($to.parent.content.size, $to.parentOffset + 1));
  const content = [schema.node("tag", writtenTag(name, vocabulary))];
  const isReplacement = state.selection instanceof NodeSelection;
  if (!isReplacement && before && !/\s/.test(before.at(-1) ?? "")) content.unshift(schema.text(" "));
  if (!isReplacement && !/^\s/.test(after)) content.push(schema.text(" "));
  return state.tr.replaceWith(from, to, content).scrollIntoView();
}

export function palettePlugin(vocabulary: () => readonly TagEntry[]): Plugin<State> {
  const move = (view: EditorView, { items, index }: PaletteState, by: number) => {
    view.dispatch(view.state.tr.setMeta(KEY, { index: (index + by + items.length) % Math.max(items.length, 1) }));
    return true;
  };
  return new Plugin<State>({
    key: KEY,
    state: {
      init: () => ({ open: null, closedAt: -1 }),
      apply(tr, previous, _, state) {
        const meta: { index?: number; close?: boolean } | undefined = tr.getMeta(KEY);
        if (meta?.close) return { open: null, closedAt: previous.open?.from ?? -1 };
        if (meta?.index !== undefined && previous.open) {
          return { ...previous, open: { ...previous.open, index: meta.index } };
        }
        if (!tr.docChanged && !tr.selectionSet) return previous;
        const open = openAt(state, vocabulary());
        if (!open) return { open: null, closedAt: -1 };
        const closedAt = tr.mapping.map(previous.closedAt);
        return open.from === closedAt ? { open: null, closedAt } : { open, closedAt: -1 };
      },
    },
    props: {
      handleKeyDown(view, event) {
        const open = paletteOf(view.state);
        if (!open || !view.editable) return false;
        if (event.key === "ArrowDown") return move(view, open, 1);
        if (event.key === "ArrowUp") return move(view, open, -1);
        if (event.key === "Escape") {
          event.stopPropagation();
          view.dispatch(view.state.tr.setMeta(KEY, { close: true }));
          return true;
        }
        if (event.key !== "Enter" && event.key !== "Tab") return false;
        const name = open.items[open.index]?.tag ?? open.query.trim();
        if (!name) return false;
        view.dispatch(insertTag(view.state, name, vocabulary()));
        return true;
      },
      // A closing bracket makes a tag of what it closes; whether it really is one the server will say.
      handleTextInput(view, from, to, text) {
        if (text !== "]" || from !== to) return false;
        const $from = view.state.doc.resolve(from);
        const match = BEGUN.exec($from.parent.textBetween(0, $from.parentOffset, undefined, "\ufffc"));
        if (!match || !/\p{L}/u.test(match[1] as string)) return false;
        const tag = schema.node("tag", writtenTag(match[1] as string, vocabulary()));
        view.dispatch(view.state.tr.replaceWith(from - match[0].length, to, tag));
        return true;
      },
      handleClickOn(view, _position, node, nodePosition, _event, direct) {
        if (!direct || !view.editable || node.type !== schema.nodes.tag) return false;
        view.dispatch(view.state.tr.setSelection(NodeSelection.create(view.state.doc, nodePosition)));
        return true;
      },
    },
  });
}

/** The name of the tag that the palette would replace, "" for a new one. */
export function replacedTag(state: EditorState): string {
  const { selection } = state;
  return selection instanceof NodeSelection && selection.node.type === schema.nodes.tag
    ? tagOf(selection.node).text.slice(1, -1)
    : "";
}
