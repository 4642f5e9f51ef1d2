"use client";

import { KeyRound, LoaderCircle } from "lucide-react";
import { type FormEvent, useId, useState } from "react";
import { Button } from "@/components/ui/button";
import { TextField } from "@/components/ui/field";
import { Switch } from "@/components/ui/switch";
import { type ProblemError, problemOf } from "@/lib/api/problem";
import { enterKey } from "@/lib/store/server";

/** Where the key of a server that asks for one is entered; `isAgain` where one was known before. */
export function KeyPanel({ isAgain, onEntered }: { isAgain: boolean; onEntered: () => void }) {
  const [key, setKey] = useState("");
  const [isRemembered, setRemembered] = useState(false);
  const [isBusy, setBusy] = useState(false);
  const [problem, setProblem] = useState<ProblemError | null>(null);
  const ids = { title: useId(), key: useId(), problem: useId() };

  const enter = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setProblem(null);
    try {
      await enterKey(key.trim(), isRemembered);
      onEntered();
    } catch (error) {
      setProblem(problemOf(error));
      setBusy(false);
    }
  };

  return (
    <section
      aria-labelledby={ids.title}
      className="mx-auto mt-[8dvh] mb-10 max-w-md rounded-2xl border border-line bg-sheet p-6 sm:p-8"
    >
      <KeyRound aria-hidden className="size-6 text-accent" />
      <h1 id={ids.title} className="mt-3 text-balance font-serif text-2xl leading-tight">
        {isAgain ? "The server asks for your key again" : "This server asks for a key"}
      </h1>
      <p className="mt-1.5 text-muted text-sm">
        {isAgain
          ? "The one it knew is not valid any more. What you wrote is kept here meanwhile."
          : "Whoever runs it can give you one. It is sent to this server only."}
      </p>
      <form onSubmit={enter} className="mt-5 flex flex-col gap-4">
        <label htmlFor={ids.key} className="text-sm">
          <span className="mb-1 block font-medium">Key</span>
          <TextField
            id={ids.key}
            type="password"
            name="password"
            autoComplete="current-password"
            spellCheck={false}
            required
            value={key}
            onChange={({ target }) => setKey(target.value)}
            {...(problem && { "aria-invalid": true, "aria-describedby": ids.problem })}
          />
        </label>
        {problem && (
          <p id={ids.problem} role="alert" className="-mt-2 text-danger text-sm">
            {problem.status === 401 ? "That is none of this server's keys." : problem.detail}
            {problem.status !== 401 && problem.hint && ` What to do: ${problem.hint}.`}
          </p>
        )}
        <div className="flex flex-wrap items-center justify-between gap-3">
          <Switch label="Remember it for 30 days" checked={isRemembered} onCheckedChange={setRemembered} />
          <Button type="submit" variant="solid" disabled={isBusy || key.trim() === ""}>
            {isBusy && <LoaderCircle aria-hidden className="animate-spin" />}
            Open
          </Button>
        </div>
      </form>
    </section>
  );
}
