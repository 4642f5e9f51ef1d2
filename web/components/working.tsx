"use client";

import { motion } from "motion/react";
import { Brackets } from "@/components/brackets";
import { Button } from "@/components/ui/button";
import { cn } from "@/lib/utils";

const BARS = [0.35, 0.7, 1, 0.55, 0.85, 0.45, 0.65];

/** A file under way: how much of it is sent, then that the model listens (how long, nobody knows beforehand). */
export function Working({ name, sent, onCancel }: { name: string; sent: number; onCancel: () => void }) {
  const uploading = sent < 1;
  return (
    <Brackets>
      <div className="flex flex-col items-center gap-4 text-center">
        <div aria-hidden className="flex h-8 items-center gap-1">
          {BARS.map((height, index) => (
            <motion.span
              // biome-ignore lint/suspicious/noArrayIndexKey: the bars never change
              key={index}
              className="h-full w-1 rounded-full bg-emotion"
              animate={{ scaleY: [0.2, height, 0.2] }}
              transition={{ duration: 1.1, repeat: Number.POSITIVE_INFINITY, delay: index * 0.09, ease: "easeInOut" }}
            />
          ))}
        </div>
        <p role="status" className="font-serif text-2xl">
          {uploading ? "Uploading" : "Listening"}
        </p>
        <div
          role="progressbar"
          aria-label="Upload"
          aria-valuenow={Math.round(sent * 100)}
          aria-valuemin={0}
          aria-valuemax={100}
          className={cn("h-1 w-48 overflow-hidden rounded-full bg-line", !uploading && "invisible")}
        >
          <div className="h-full origin-left bg-ink transition-transform" style={{ transform: `scaleX(${sent})` }} />
        </div>
        <p className="max-w-full truncate text-muted text-sm">{name}</p>
        <Button onClick={onCancel}>Cancel</Button>
      </div>
    </Brackets>
  );
}
