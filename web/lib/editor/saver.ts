/**
 * Saves what is edited, a moment after the last change, one save at a time.
 *
 * Knows when to save and what went wrong; what is saved and where is told it.
 */

import { ConflictError } from "@/lib/api/client";
import { type ProblemError, problemOf, UNREACHABLE } from "@/lib/api/problem";
import type { TranscriptDocument } from "@/lib/api/types";

const QUIET_MS = 700;
const RETRY_MS = 4000;
/** The status of a server that wants a key, for which the page asks meanwhile. */
const KEY_WANTED = 401;

export type SaveState =
  | { step: "saved" }
  | { step: "changed" }
  | { step: "saving" }
  /** Saved once the server answers again, or takes our key. */
  | { step: "offline" }
  | { step: "failed"; problem: ProblemError }
  | { step: "conflict"; current: TranscriptDocument };

interface Saving {
  /** Send what there is now, made from `version`. */
  put: (version: number) => Promise<TranscriptDocument>;
  onSaved: (document: TranscriptDocument) => void;
  onState: (state: SaveState) => void;
}

export class Saver {
  private timer: ReturnType<typeof setTimeout> | undefined;
  private state: SaveState = { step: "saved" };
  private isChangedSince = false;
  private underWay: Promise<void> = Promise.resolve();

  constructor(
    private version: number,
    private readonly saving: Saving,
  ) {}

  /** Something was edited. */
  changed(): void {
    if (this.state.step === "conflict") return;
    if (this.state.step === "saving") this.isChangedSince = true;
    else this.wait("changed", QUIET_MS);
  }

  /** Save now what is not saved; resolves with whether everything is. */
  async flush(): Promise<boolean> {
    // Who else waited may have begun another save.
    for (let seen: unknown; seen !== this.underWay; ) {
      seen = this.underWay;
      await seen;
    }
    if (["changed", "offline", "failed"].includes(this.state.step)) await this.save();
    return this.isSaved;
  }

  /** The answer to a conflict: our text as the version after theirs. */
  async keepMine(): Promise<void> {
    if (this.state.step !== "conflict") return;
    this.version = this.state.current.version;
    await this.save();
  }

  /** The other answer: what is shown now is `document`, as it was saved. */
  takeTheirs(document: TranscriptDocument): void {
    this.version = document.version;
    this.enter({ step: "saved" });
  }

  get isSaved(): boolean {
    return this.state.step === "saved";
  }

  dispose(): void {
    clearTimeout(this.timer);
  }

  private enter(state: SaveState): void {
    this.state = state;
    this.saving.onState(state);
  }

  private wait(step: "changed" | "offline", ms: number): void {
    clearTimeout(this.timer);
    if (this.state.step !== step) this.enter({ step });
    this.timer = setTimeout(() => this.save(), ms);
  }

  private save(): Promise<void> {
    this.underWay = this.send();
    return this.underWay;
  }

  private async send(): Promise<void> {
    clearTimeout(this.timer);
    this.isChangedSince = false;
    this.enter({ step: "saving" });
    try {
      const document = await this.saving.put(this.version);
      this.version = document.version;
      this.enter({ step: "saved" });
      this.saving.onSaved(document);
      if (this.isChangedSince) this.wait("changed", QUIET_MS);
    } catch (error) {
      if (error instanceof ConflictError) return this.enter({ step: "conflict", current: error.current });
      const problem = problemOf(error);
      if (problem.detail === UNREACHABLE.detail || problem.status === KEY_WANTED) this.wait("offline", RETRY_MS);
      else this.enter({ step: "failed", problem });
    }
  }
}
