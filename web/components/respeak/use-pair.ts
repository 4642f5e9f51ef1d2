"use client";

/** Two players at the same place of one text: one of them sounds, the other waits where it would be. */

import { useEffect, useMemo, useState } from "react";
import type { SpokenSentence } from "@/lib/api/types";
import { Player } from "@/lib/player";
import { toOriginal, toRespoken } from "@/lib/time-map";

export type Side = "original" | "respoken";

/** How far the waiting one may be from its place. */
const SLACK_S = 0.2;

export function usePair(original: string | null, respoken: string, sentences: readonly SpokenSentence[]) {
  const [side, setSide] = useState<Side>(original ? "original" : "respoken");
  const players = useMemo(
    () => ({ original: new Player(original ?? ""), respoken: new Player(respoken) }),
    [original, respoken],
  );
  useEffect(
    () => () => {
      players.original.dispose();
      players.respoken.dispose();
    },
    [players],
  );

  const place = useMemo(
    () => ({
      original: (seconds: number) => toOriginal(sentences, seconds),
      respoken: (seconds: number) => toRespoken(sentences, seconds),
    }),
    [sentences],
  );

  // The waiting player follows the other.
  useEffect(() => {
    const other: Side = side === "original" ? "respoken" : "original";
    const follow = () => {
      const atS = place[other](players[side].atS);
      if (Math.abs(players[other].atS - atS) > SLACK_S) players[other].seek(atS);
    };
    return players[side].subscribe(follow);
  }, [players, place, side]);

  /** Let the other one sound, from the same place in the text. */
  const switchTo = (next: Side) => {
    if (next === side) return;
    const from = players[side];
    const wasPlaying = from.isPlaying;
    from.pause();
    const atS = place[next](from.atS);
    setSide(next);
    if (wasPlaying) players[next].play(atS);
    else players[next].seek(atS);
  };

  return { side, players, switchTo };
}
