import { ChevronDown } from "lucide-react";
import type { ComponentProps } from "react";
import { cn } from "@/lib/utils";

const FIELD =
  "h-10 w-full rounded-lg border border-line bg-sheet px-3 text-sm placeholder:text-muted hover:border-muted disabled:opacity-50";

export function TextField({ className, ...props }: ComponentProps<"input">) {
  return <input type="text" autoComplete="off" className={cn(FIELD, className)} {...props} />;
}

/** The browser's own choice list: the best one on a phone, and with a keyboard. */
export function Select({ className, children, ...props }: ComponentProps<"select">) {
  return (
    <span className={cn("relative inline-flex", className)}>
      <select className={cn(FIELD, "appearance-none truncate pr-9")} {...props}>
        {children}
      </select>
      <ChevronDown
        aria-hidden
        className="-translate-y-1/2 pointer-events-none absolute top-1/2 right-2.5 size-4 text-muted"
      />
    </span>
  );
}
