/** The editor of one transcript: its state, its history and, once it is on the page, its view. */

import { history, redo, redoDepth, undo, undoDepth } from "prosemirror-history";
import { keymap } from "prosemirror-keymap";
import { Fragment, type Node, Slice } from "prosemirror-model";
import { EditorState, TextSelection, type Transaction } from "prosemirror-state";
import { EditorView } from "prosemirror-view";
import type { SpeakerNames, TagEntry, Transcript } from "@/lib/api/types";
import { deleteTagAfter, deleteTagBefore, joinSegments, splitSegment } from "@/lib/editor/commands";
import { documentOf, inlineOf, speakerLabel, speakerNamesOf, speakersOf } from "@/lib/editor/document";
import { findPlugin } from "@/lib/editor/find";
import { paletteOf, palettePlugin } from "@/lib/editor/palette";
import { SegmentView, type SegmentViewActions, type SpeakerLooks } from "@/lib/editor/segment-view";
import { tagSpacesPlugin } from "@/lib/editor/tag-spaces";
import { placedWords, timeAt, wordsPlugin } from "@/lib/editor/words";

export interface EditorOptions extends SegmentViewActions {
  vocabulary: () => readonly TagEntry[];
  /** Called when a place in the text is chosen by a click that does not select. */
  onSeek: (seconds: number) => void;
}

/** As many colours as there are speakers in most talks; then they come again. */
const SPEAKER_COLOURS = 6;

export class TranscriptEditor {
  state: EditorState;
  view: EditorView | null = null;
  editable = false;
  private readonly listeners = new Set<() => void>();
  private readonly segments = new Set<SegmentView>();
  private looks: SpeakerLooks;

  constructor(
    transcript: Transcript,
    speakerNames: SpeakerNames,
    private readonly options: EditorOptions,
  ) {
    const doc = documentOf(transcript, speakerNames);
    this.looks = looksOf(doc);
    this.state = EditorState.create({
      doc,
      plugins: [
        wordsPlugin(placedWords(doc, transcript)),
        palettePlugin(options.vocabulary),
        findPlugin(),
        tagSpacesPlugin(),
        keymap({ Enter: splitSegment, Backspace: deleteTagBefore, Delete: deleteTagAfter }),
        keymap({ Backspace: joinSegments }),
        history(),
        keymap({ "Mod-z": undo, "Mod-y": redo, "Shift-Mod-z": redo }),
      ],
    });
  }

  /** Show the editor in `place`; returns how to take it away. */
  mount(place: HTMLElement): () => void {
    const view = new EditorView(place, {
      state: this.state,
      editable: () => this.editable,
      attributes: () => ({
        ...(this.editable ? { role: "textbox", "aria-multiline": "true" } : { role: "group" }),
        class: "transcript",
        "aria-label": "Transcript text",
        spellcheck: "false",
        translate: "no",
      }),
      dispatchTransaction: (tr) => this.dispatch(tr),
      nodeViews: {
        segment: (node, _, getPos) => {
          const segment = new SegmentView(node, () => this.looks, getPos, this.options);
          segment.destroy = () => this.segments.delete(segment);
          this.segments.add(segment);
          return segment;
        },
      },
      clipboardTextSerializer: ({ content }) => content.textBetween(0, content.size, "\n\n"),
      handlePaste: (_, event) => this.paste(event.clipboardData?.getData("text/plain") ?? ""),
      handleDrop: () => true,
      // ProseMirror would take these keys and do nothing with them; the page's shortcuts want them.
      handleDOMEvents: { keydown: (_, event) => isShortcut(event) && paletteOf(this.state) === null },
      handleClick: (self, position, event) => {
        const isOnTag = event.target instanceof Element && event.target.closest(".chip") !== null;
        if (event.detail > 1 || event.shiftKey || !(isOnTag || document.getSelection()?.isCollapsed)) return false;
        // The caret first: what seeking lights would else be drawn with the caret where it was.
        const { doc } = this.state;
        this.dispatch(this.state.tr.setSelection(TextSelection.near(doc.resolve(position))));
        const seconds = timeAt(self.state, position);
        if (seconds !== null) this.options.onSeek(seconds);
        return false;
      },
    });
    this.view = view;
    return () => {
      this.view = null;
      view.destroy();
    };
  }

  dispatch = (tr: Transaction | null) => {
    if (!tr) return;
    this.state = this.state.apply(tr);
    const looks = tr.docChanged ? looksOf(this.state.doc) : this.looks;
    const looksChanged = JSON.stringify([...looks]) !== JSON.stringify([...this.looks]);
    this.looks = looks;
    this.view?.updateState(this.state);
    if (looksChanged) for (const segment of this.segments) segment.draw();
    for (const listener of this.listeners) listener();
  };

  subscribe = (listener: () => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  setEditable(editable: boolean) {
    if (this.editable === editable) return;
    this.editable = editable;
    this.view?.setProps({}); // asks `editable` again
    for (const listener of this.listeners) listener();
  }

  undo = () => undo(this.state, this.dispatch);
  redo = () => redo(this.state, this.dispatch);
  get canUndo() {
    return undoDepth(this.state) > 0;
  }
  get canRedo() {
    return redoDepth(this.state) > 0;
  }

  private paste(text: string): boolean {
    const nodes = inlineOf(text, this.options.vocabulary());
    if (nodes.length > 0) this.dispatch(this.state.tr.replaceSelection(new Slice(Fragment.from(nodes), 0, 0)));
    return true;
  }
}

const isShortcut = ({ key, ctrlKey, metaKey }: KeyboardEvent) =>
  key === "Escape" || (key === "Enter" && (ctrlKey || metaKey));

function looksOf(doc: Node): SpeakerLooks {
  const names = speakerNamesOf(doc);
  return new Map(
    speakersOf(doc).map((speaker, index) => [
      speaker,
      { label: speakerLabel(speaker, names), number: (index % SPEAKER_COLOURS) + 1 },
    ]),
  );
}
