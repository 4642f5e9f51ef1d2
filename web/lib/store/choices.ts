"use client";

/** What this browser remembers of how somebody likes to work. */

import { create } from "zustand";
import { persist } from "zustand/middleware";

interface Choices {
  diarize: boolean;
  /** Empty for the browser's default one. */
  microphone: string;
  microphoneName: string;
  speed: number;
  engine: string;
  voices: Record<string, string>;
}

export const useChoices = create<Choices>()(
  persist(
    (): Choices => ({ diarize: false, microphone: "", microphoneName: "", speed: 1, engine: "local", voices: {} }),
    {
      name: "evoxtral-studio",
      skipHydration: true, // the first picture is the same for everybody; read when the page is awake
    },
  ),
);
