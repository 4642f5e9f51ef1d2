"use client";

/** What the workbench works with: the editor, the player, and the saver between the editor and the server. */

import { useEffect, useMemo, useRef, useState } from "react";
import { getTranscript, putTranscript } from "@/lib/api/client";
import type { TranscriptDocument } from "@/lib/api/types";
import { segmentsOf, speakerNamesOf } from "@/lib/editor/document";
import { TranscriptEditor } from "@/lib/editor/editor";
import { takeReading } from "@/lib/editor/reading";
import { Saver, type SaveState } from "@/lib/editor/saver";
import { segmentText } from "@/lib/editor/schema";
import { currentWord, setCurrentWord, wordAt, wordsOf } from "@/lib/editor/words";
import { Player } from "@/lib/player";
import { useChoices } from "@/lib/store/choices";
import { amend } from "@/lib/store/memory";
import { saveBehind } from "@/lib/store/saves";
import { useServer } from "@/lib/store/server";
import type { Loaded } from "@/lib/use-document";

export interface SpeakerChoice {
  segmentStart: number;
  anchor: HTMLElement;
}

export function useWorkbench({ document, isKept, audio }: Loaded) {
  const [speakerChoice, setSpeakerChoice] = useState<SpeakerChoice | null>(null);
  const [save, setSave] = useState<SaveState>({ step: "saved" });
  const [name, setName] = useState(document.name);
  const nameNow = useRef(document.name);
  const { id } = document;

  const player = useMemo(() => new Player(audio ?? ""), [audio]);
  useEffect(() => {
    player.setSpeed(useChoices.getState().speed);
    return () => player.dispose();
  }, [player]);

  const [editor] = useState(
    () =>
      new TranscriptEditor(document.transcript, document.speaker_names, {
        vocabulary: () => useServer.getState().capabilities?.tags ?? [],
        onSeek: (seconds) => playerNow.current.seek(seconds),
        onSpeaker: (segmentStart, anchor) => setSpeakerChoice({ segmentStart, anchor }),
      }),
  );
  const playerNow = useRef(player);
  playerNow.current = player;

  const [saver] = useState(() => {
    const edit = () => ({
      ...(nameNow.current.trim() && { name: nameNow.current.trim() }), // without one it keeps the name it has
      speaker_names: speakerNamesOf(editor.state.doc),
      segments: segmentsOf(editor.state.doc),
    });
    const put = async (version: number): Promise<TranscriptDocument> => {
      if (isKept) return putTranscript(id, version, edit());
      const text = editor.state.doc.children.map(segmentText).join(" ");
      const { segments: written, ...facts } = edit();
      const segments = written.map((segment) => ({ ...segment, plain_text: segment.text }));
      const transcript = { ...document.transcript, text, segments, words: [], tags: [] };
      const updated = new Date().toISOString();
      const kept = { ...document, ...facts, transcript, version: version + 1, updated_at: updated };
      amend(kept);
      return kept;
    };
    return new Saver(document.version, {
      put,
      onSaved: ({ transcript }) => isKept && editor.dispatch(takeReading(editor.state, transcript)),
      onState: setSave,
    });
  });

  // Every change of the text or the speakers is saved; what only marks words or moves the caret is not.
  useEffect(() => {
    let saved = editor.state.doc;
    const stop = editor.subscribe(() => {
      const { doc } = editor.state;
      const isSame =
        doc === saved ||
        (JSON.stringify(segmentsOf(doc)) === JSON.stringify(segmentsOf(saved)) &&
          speakerNamesOf(doc) === speakerNamesOf(saved));
      saved = doc;
      if (isSame) return;
      saver.changed();
      if (editor.view?.hasFocus()) playerNow.current.pause(); // nobody hears on while writing
    });
    return () => {
      stop();
    };
  }, [editor, saver]);

  useEffect(() => {
    const onLeave = (event: BeforeUnloadEvent) => {
      if (!saver.isSaved) event.preventDefault();
    };
    window.addEventListener("beforeunload", onLeave);
    return () => {
      window.removeEventListener("beforeunload", onLeave);
      if (isKept) saveBehind(id, saver);
      else saver.flush();
    };
  }, [saver, id, isKept]);

  // The word in play.
  useEffect(
    () =>
      player.subscribe(() => {
        const { state, view } = editor;
        const words = wordsOf(state);
        const current = player.isPlaying || player.atS > 0 ? wordAt(words, player.atS) : -1;
        if (current === currentWord(state)) return;
        editor.dispatch(setCurrentWord(state.tr, current));
        const element = view?.dom.querySelector(".current");
        if (player.isPlaying) element?.scrollIntoView({ block: "nearest", behavior: "smooth" });
      }),
    [editor, player],
  );

  const rename = (next: string) => {
    setName(next);
    nameNow.current = next;
    saver.changed();
  };

  /** Show what is saved instead of what is here. */
  const takeTheirs = async () => {
    const theirs = await getTranscript(id);
    saver.takeTheirs(theirs);
    window.location.reload();
  };

  return { editor, player, saver, save, name, rename, speakerChoice, setSpeakerChoice, takeTheirs };
}

export type Bench = ReturnType<typeof useWorkbench>;
