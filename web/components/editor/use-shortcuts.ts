"use client";

import { useEffect, useRef } from "react";
import type { Sheet } from "@/components/editor/workbench";
import type { TranscriptEditor } from "@/lib/editor/editor";
import type { Saver } from "@/lib/editor/saver";
import { timeAt } from "@/lib/editor/words";
import { type Player, SPEEDS } from "@/lib/player";
import { useChoices } from "@/lib/store/choices";

const SKIP_S = 5;

interface Bench {
  editor: TranscriptEditor;
  player: Player;
  saver: Saver;
  isEditing: boolean;
  setEditing: (isEditing: boolean) => void;
  setSheet: (sheet: Sheet) => void;
}

/** What the help sheet says; the keys are handled below. */
export const SHORTCUTS: readonly (readonly [keys: string, what: string])[] = [
  ["Space", "Play or pause"],
  ["Ctrl Enter", "Play or pause while editing, from the caret"],
  ["← →", "Five seconds back or on"],
  ["< >", "Slower or faster"],
  ["E", "Edit the text"],
  ["Esc", "Back to reading"],
  ["[", "Insert a tag, while editing"],
  ["Ctrl F", "Find and replace"],
  ["Ctrl Z", "Undo"],
  ["Ctrl Shift Z", "Redo"],
  ["Ctrl S", "Save now"],
  ["?", "This help"],
];

export function setSpeed(player: Player, by: -1 | 1): void {
  const index = SPEEDS.indexOf(useChoices.getState().speed as (typeof SPEEDS)[number]);
  const speed = SPEEDS[Math.max(0, Math.min(SPEEDS.length - 1, index + by))] ?? 1;
  useChoices.setState({ speed });
  player.setSpeed(speed);
}

export function useShortcuts(bench: Bench): void {
  const now = useRef(bench);
  now.current = bench;
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.altKey) return;
      const { key, target } = event;
      const isTyping = target instanceof HTMLElement && (target.isContentEditable || target.matches("input, select"));
      const isInSheet = target instanceof Element && target.closest("[role=dialog], [role=menu]") !== null;
      if (isInSheet) return;
      const done =
        event.ctrlKey || event.metaKey ? withControl(key, event.shiftKey, isTyping) : plain(key, isTyping, target);
      if (done) event.preventDefault();
    };

    const withControl = (key: string, shift: boolean, isTyping: boolean): boolean => {
      const { editor, player, saver, setSheet } = now.current;
      switch (key.toLowerCase()) {
        case "f":
          setSheet("find");
          return true;
        case "s":
          saver.flush();
          return true;
        case "z":
          return !isTyping && (shift ? editor.redo() : editor.undo());
        case "enter":
          if (player.isPlaying) player.pause();
          else player.play(timeAt(editor.state, editor.state.selection.from) ?? undefined);
          return true;
        default:
          return false;
      }
    };

    const plain = (key: string, isTyping: boolean, target: EventTarget | null): boolean => {
      const { player, isEditing, setEditing, setSheet } = now.current;
      if (key === "Escape" && isEditing) {
        setEditing(false);
        return true;
      }
      if (isTyping) return false;
      switch (key) {
        case " ":
          if (target instanceof Element && target.closest("button, a, [role=switch]")) return false;
          player.toggle();
          return true;
        case "ArrowLeft":
        case "ArrowRight":
          if (target instanceof Element && target.closest("[role=slider]")) return false;
          player.seek(player.atS + (key === "ArrowLeft" ? -SKIP_S : SKIP_S));
          return true;
        case "<":
        case ">":
          setSpeed(player, key === "<" ? -1 : 1);
          return true;
        case "e":
          setEditing(true);
          return true;
        case "?":
          setSheet("help");
          return true;
        default:
          return false;
      }
    };

    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, []);
}
