"use client";

import { TriangleAlert } from "lucide-react";
import type { ReactNode } from "react";
import type { Problem } from "@/lib/api/types";
import { cn } from "@/lib/utils";

/** What went wrong and what to do about it; `children` are the buttons that do it. */
export function ProblemNotice({
  title,
  problem,
  className,
  children,
}: {
  title?: string;
  problem: Pick<Problem, "detail" | "hint">;
  className?: string;
  children?: ReactNode;
}) {
  return (
    <div role="alert" className={cn("flex gap-3 rounded-xl bg-danger-soft p-4", className)}>
      <TriangleAlert aria-hidden className="mt-0.5 size-5 shrink-0 text-danger" />
      <div className="min-w-0 flex-1">
        {title && <p className="font-semibold">{title}</p>}
        <p className="break-words">{problem.detail}</p>
        {problem.hint && <p className="mt-0.5 break-words text-sm">What to do: {problem.hint}.</p>}
        {children && <div className="mt-3 flex flex-wrap gap-2">{children}</div>}
      </div>
    </div>
  );
}
