/** Failures of the server or on the way to it, as people read them. Every one becomes a `ProblemError`. */

import type { Problem } from "@/lib/api/types";

export class ProblemError extends Error implements Problem {
  readonly detail: string;
  readonly hint?: string;
  readonly status?: number;
  /** The whole problem document, where the server sent one. */
  readonly document: Record<string, unknown>;

  constructor({ detail, hint, status }: Problem, document: Record<string, unknown> = {}) {
    super(detail);
    this.detail = detail;
    if (hint !== undefined) this.hint = hint;
    if (status !== undefined) this.status = status;
    this.document = document;
  }
}

export const UNREACHABLE: Problem = {
  detail: "The server does not answer.",
  hint: "check that `evoxtral serve` is running, then try again",
};

/** Read the body of an answer that is not a success. */
export function readProblem(status: number, body: string): ProblemError {
  try {
    const document: unknown = JSON.parse(body);
    if (typeof document === "object" && document !== null && "detail" in document) {
      const hint = "hint" in document && typeof document.hint === "string" ? { hint: document.hint } : {};
      return new ProblemError({ detail: String(document.detail), status, ...hint }, { ...document });
    }
  } catch {
    // Not JSON: something between the page and the server answered.
  }
  const detail = `The answer (status ${status}) did not come from Evoxtral.`;
  return new ProblemError({ detail, hint: "look at the proxy before it", status });
}

/** Any thrown thing as a problem: an abort stays what it is, a failed fetch is a server that does not answer. */
export function problemOf(error: unknown): ProblemError {
  if (error instanceof ProblemError) return error;
  if (isProblem(error)) return new ProblemError(error);
  if (error instanceof TypeError) return new ProblemError(UNREACHABLE);
  return new ProblemError({ detail: error instanceof Error ? error.message : String(error) });
}

export const isAbort = (error: unknown) => error instanceof DOMException && error.name === "AbortError";

const isProblem = (value: unknown): value is Problem =>
  typeof value === "object" && value !== null && !(value instanceof Error) && "detail" in value;
