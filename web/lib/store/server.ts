"use client";

/** What the server is and can do, asked once and again while it does not answer; and the key that it may ask for. */

import { create } from "zustand";
import { beginSession, endSession, getCapabilities, onKeyWanted } from "@/lib/api/client";
import { ProblemError, problemOf } from "@/lib/api/problem";
import type { Capabilities } from "@/lib/api/types";

const ASK_AGAIN_MS = 3000;

interface Server {
  capabilities: Capabilities | null;
  /** Why there is no answer, null while there is none or one is waited for. */
  problem: ProblemError | null;
  /** The server asks for a key, and this browser has shown it none. */
  isKeyWanted: boolean;
}

export const useServer = create<Server>()(() => ({ capabilities: null, problem: null, isKeyWanted: false }));

onKeyWanted(() => useServer.setState({ isKeyWanted: true, problem: null }));

let timer: ReturnType<typeof setTimeout> | undefined;

export async function askServer(): Promise<void> {
  clearTimeout(timer);
  try {
    useServer.setState({ capabilities: await getCapabilities(), problem: null, isKeyWanted: false });
  } catch (error) {
    const problem = problemOf(error);
    if (problem.status === 401) return; // asked again when a key is entered
    useServer.setState({ problem });
    timer = setTimeout(askServer, ASK_AGAIN_MS);
  }
}

/** Show the server a key. Throws a `ProblemError` where it is none of its keys. */
export async function enterKey(key: string, isRemembered: boolean): Promise<void> {
  await beginSession(key, isRemembered);
  await askServer();
  const { isKeyWanted, problem } = useServer.getState();
  if (problem) throw problem;
  if (isKeyWanted) {
    const hint = "allow cookies for this page, or open it in a window of its own";
    throw new ProblemError({ detail: "The browser did not keep the session.", hint });
  }
}

/** Forget the key, and what was shown with it. */
export async function leave(): Promise<void> {
  await endSession().catch(() => {}); // where there was no session any more, the page asks for a key as well
  window.location.reload();
}
