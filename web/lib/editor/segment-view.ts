/** How a segment looks on the page: who speaks and when beside the text. */

import type { Node } from "prosemirror-model";
import type { NodeView, ViewMutationRecord } from "prosemirror-view";
import { segmentOf } from "@/lib/editor/schema";
import { clock } from "@/lib/format";

export interface SegmentViewActions {
  onSeek: (seconds: number) => void;
  /** The speaker's name of the segment that starts at a position was pressed. */
  onSpeaker: (segmentStart: number, anchor: HTMLElement) => void;
}

/** What is known of the speakers of the whole document: their labels and their numbers in it. */
export type SpeakerLooks = ReadonlyMap<string, { label: string; number: number }>;

export class SegmentView implements NodeView {
  readonly dom: HTMLElement;
  readonly contentDOM: HTMLElement;
  destroy?: () => void;
  private readonly time: HTMLButtonElement;
  private readonly speaker: HTMLButtonElement;

  constructor(
    private node: Node,
    private readonly looks: () => SpeakerLooks,
    getPos: () => number | undefined,
    actions: SegmentViewActions,
  ) {
    this.dom = document.createElement("div");
    this.dom.className = "segment";
    const margin = document.createElement("div");
    margin.className = "segment-margin";
    margin.contentEditable = "false";
    this.speaker = button("segment-speaker", () => actions.onSpeaker(getPos() ?? 0, this.speaker));
    this.time = button("segment-time", () => actions.onSeek(segmentOf(this.node).startS));
    margin.append(this.speaker, this.time);
    this.contentDOM = document.createElement("p");
    this.contentDOM.className = "segment-text";
    this.dom.append(margin, this.contentDOM);
    this.draw();
  }

  draw() {
    const { startS, speaker } = segmentOf(this.node);
    const { label, number } = (speaker !== null && this.looks().get(speaker)) || { label: "", number: 0 };
    if (this.speaker.textContent !== label) this.speaker.textContent = label;
    this.speaker.hidden = speaker === null;
    this.speaker.dataset.speaker = String(number);
    this.speaker.ariaLabel = `Speaker: ${label}`;
    const time = clock(startS);
    if (this.time.textContent !== time) this.time.textContent = time;
    this.time.ariaLabel = `Go to ${time}`;
  }

  update(node: Node): boolean {
    if (node.type !== this.node.type) return false;
    this.node = node;
    this.draw();
    return true;
  }

  stopEvent(event: Event): boolean {
    return event.target instanceof Element && event.target.closest(".segment-margin") !== null;
  }

  ignoreMutation(mutation: ViewMutationRecord): boolean {
    return mutation.type !== "selection" && !this.contentDOM.contains(mutation.target);
  }
}

function button(className: string, onClick: () => void): HTMLButtonElement {
  const element = document.createElement("button");
  element.type = "button";
  element.className = className;
  element.addEventListener("click", onClick);
  return element;
}
