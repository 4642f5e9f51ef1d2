"use client";

import * as m from "motion/react-m";
import type { ReactNode } from "react";
import { cn } from "@/lib/utils";

/** The project's sign: what it holds is set between two large square brackets, which part when `open`. */
export function Brackets({
  open = false,
  className,
  children,
}: {
  open?: boolean;
  className?: string;
  children: ReactNode;
}) {
  const bracket = "absolute inset-y-0 w-5 border-accent border-y-[3px] sm:w-7";
  const spring = { type: "spring", stiffness: 420, damping: 30 } as const;
  return (
    <div className={cn("relative px-8 py-8 sm:px-14 sm:py-10", className)}>
      <m.span
        aria-hidden
        className={cn(bracket, "left-0 rounded-l-sm border-l-[3px] sm:left-2")}
        animate={{ x: open ? -8 : 0 }}
        transition={spring}
      />
      <m.span
        aria-hidden
        className={cn(bracket, "right-0 rounded-r-sm border-r-[3px] sm:right-2")}
        animate={{ x: open ? 8 : 0 }}
        transition={spring}
      />
      {children}
    </div>
  );
}
