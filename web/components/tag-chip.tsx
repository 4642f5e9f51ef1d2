import { styleOf } from "@/lib/categories";
import type { TranscriptTag } from "@/lib/transcript";
import { cn } from "@/lib/utils";

/** A tag as it stands in the text, brackets and all, so that a copied selection can be spoken again. */
export function TagChip({ text, tag }: { text: string; tag: Pick<TranscriptTag, "category"> }) {
  const { icon: Icon, label, chip } = styleOf(tag);
  return (
    <span
      data-tag={tag.category ?? "unknown"}
      title={label}
      className={cn(
        "inline-flex items-center gap-[0.35em] rounded-md px-[0.5em] py-[0.1em] align-[0.06em] font-medium font-sans text-[0.68em] leading-[1.5] whitespace-nowrap",
        chip,
      )}
    >
      <Icon aria-hidden className="size-[1.05em] opacity-80" />
      {text}
    </span>
  );
}
