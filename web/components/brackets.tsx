"use client";

import { motion } from "motion/react";
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
  const bracket = "absolute inset-y-0 w-6 border-emotion border-y-[3px] sm:w-8";
  const spring = { type: "spring", stiffness: 420, damping: 30 } as const;
  return (
    <div className={cn("relative px-6 py-10 sm:px-14 sm:py-12", className)}>
      <motion.span
        aria-hidden
        className={cn(bracket, "left-0 border-l-[3px] sm:left-2")}
        animate={{ x: open ? -8 : 0 }}
        transition={spring}
      />
      <motion.span
        aria-hidden
        className={cn(bracket, "right-0 border-r-[3px] sm:right-2")}
        animate={{ x: open ? 8 : 0 }}
        transition={spring}
      />
      {children}
    </div>
  );
}
