/** Saves that go on after their editor was left: whoever opens the same transcript waits for them. */

import type { Saver } from "@/lib/editor/saver";
import { listTranscripts } from "@/lib/store/library";

const underWay = new Map<string, Promise<void>>();

/** Save what the editor of a transcript leaves behind; the library then shows it as it is. */
export function saveBehind(id: string, saver: Saver): void {
  if (saver.isSaved) return;
  const saving = saver.flush().then(() => {
    if (underWay.get(id) === saving) underWay.delete(id);
    listTranscripts();
  });
  underWay.set(id, saving);
}

/** Resolves when nothing of a transcript is being saved that an editor left behind. */
export const savesBehind = (id: string): Promise<void> => underWay.get(id) ?? Promise.resolve();
