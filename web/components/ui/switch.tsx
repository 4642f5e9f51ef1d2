"use client";

import { Switch as Radix } from "radix-ui";
import { useId } from "react";

export function Switch({
  label,
  checked,
  onCheckedChange,
}: {
  label: string;
  checked: boolean;
  onCheckedChange: (checked: boolean) => void;
}) {
  const id = useId();
  return (
    <span className="inline-flex items-center gap-2.5 text-sm">
      <Radix.Root
        id={id}
        checked={checked}
        onCheckedChange={onCheckedChange}
        className="relative h-5 w-9 rounded-full bg-muted/60 transition-colors data-[state=checked]:bg-ink"
      >
        <Radix.Thumb className="block size-4 translate-x-0.5 rounded-full bg-paper transition-transform data-[state=checked]:translate-x-4.5" />
      </Radix.Root>
      <label htmlFor={id}>{label}</label>
    </span>
  );
}
