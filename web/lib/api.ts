/** The server's answers over HTTP. Every failure becomes a `Problem`, also those that never reached the server. */

import type { Transcript } from "@/lib/transcript";

/** What is wrong and what to do: the part of an RFC 9457 problem document that people read. */
export interface Problem {
  detail: string;
  hint?: string;
}

export interface Health {
  version: string;
  model: string;
  engine: string;
  max_upload_bytes: number;
}

const UNREACHABLE: Problem = {
  detail: "The server does not answer.",
  hint: "check that `evoxtral serve` is running, then try again",
};

/** Read the body of an answer that is not a success. */
export function readProblem(status: number, body: string): Problem {
  try {
    const document: unknown = JSON.parse(body);
    if (typeof document === "object" && document !== null && "detail" in document) {
      const hint = "hint" in document && typeof document.hint === "string" ? { hint: document.hint } : {};
      return { detail: String(document.detail), ...hint };
    }
  } catch {
    // Not JSON: something between the page and the server answered.
  }
  return { detail: `The answer (status ${status}) did not come from Evoxtral.`, hint: "look at the proxy before it" };
}

export async function getHealth(): Promise<Health> {
  const response = await fetch("/health");
  if (!response.ok) throw readProblem(response.status, await response.text());
  return response.json();
}

/**
 * Upload a recording and wait for its transcript.
 *
 * @param onSent called with the share of the file that is uploaded, 0..1. (`fetch` cannot tell it.)
 * @throws Problem, or the signal's reason after an abort.
 */
export function transcribe(file: File, onSent: (share: number) => void, signal: AbortSignal): Promise<Transcript> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", "/transcribe");
    request.upload.onprogress = ({ loaded, total }) => onSent(total > 0 ? loaded / total : 1);
    request.upload.onload = () => onSent(1);
    request.onload = () =>
      request.status === 200
        ? resolve(JSON.parse(request.responseText))
        : reject(readProblem(request.status, request.responseText));
    request.onerror = () => reject(UNREACHABLE);
    request.onabort = () => reject(signal.reason);
    signal.addEventListener("abort", () => request.abort(), { once: true });
    const form = new FormData();
    form.append("file", file);
    request.send(form);
  });
}
