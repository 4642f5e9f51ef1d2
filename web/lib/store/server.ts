"use client";

/** What the server is and can do, asked once and again while it does not answer. */

import { create } from "zustand";
import { getCapabilities } from "@/lib/api/client";
import { type ProblemError, problemOf } from "@/lib/api/problem";
import type { Capabilities } from "@/lib/api/types";

const ASK_AGAIN_MS = 3000;

interface Server {
  capabilities: Capabilities | null;
  /** Why there is no answer, null while there is none or one is waited for. */
  problem: ProblemError | null;
}

export const useServer = create<Server>()(() => ({ capabilities: null, problem: null }));

let timer: ReturnType<typeof setTimeout> | undefined;

export async function askServer(): Promise<void> {
  clearTimeout(timer);
  try {
    useServer.setState({ capabilities: await getCapabilities(), problem: null });
  } catch (error) {
    useServer.setState({ problem: problemOf(error) });
    timer = setTimeout(askServer, ASK_AGAIN_MS);
  }
}
