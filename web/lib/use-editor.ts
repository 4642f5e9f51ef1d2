"use client";

import { useSyncExternalStore } from "react";
import type { TranscriptEditor } from "@/lib/editor/editor";
import type { Player } from "@/lib/player";

/** Drawn again at each change of the editor's state. */
export function useEditorState(editor: TranscriptEditor) {
  return useSyncExternalStore(editor.subscribe, () => editor.state);
}

/** Drawn again when `read` gives something else (a number or a word, not an object). */
export function usePlayer<T extends string | number | boolean>(player: Player, read: (player: Player) => T): T {
  return useSyncExternalStore(player.subscribe, () => read(player));
}
