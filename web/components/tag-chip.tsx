import type { Category } from "@/lib/api/types";

/** A tag as the transcript shows it, for other places. */
export function TagChip({ name, category }: { name: string; category: Category | "unknown" | null }) {
  return (
    <span className="chip" data-tag={category ?? "unknown"}>
      <i>[</i>
      {name}
      <i>]</i>
    </span>
  );
}

/** The shape of a category alone. */
export function TagShape({ category, className }: { category: Category | "unknown"; className?: string }) {
  return <span aria-hidden data-tag={category} className={`tag-shape ${className ?? ""}`} />;
}
