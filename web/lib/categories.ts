/** The four categories of tags as the page shows them; colours are the CSS variables `--NAME` and `--NAME-soft`. */

import { CircleHelp, Drama, Hourglass, type LucideIcon, Speech, Wind } from "lucide-react";
import type { Category, TranscriptTag } from "@/lib/transcript";

export interface CategoryStyle {
  label: string;
  meaning: string;
  icon: LucideIcon;
  /** Tailwind classes of the chip. */
  chip: string;
}

export const CATEGORIES: Record<Category, CategoryStyle> = {
  emotion: { label: "Emotion", meaning: "how it felt", icon: Drama, chip: "bg-emotion-soft text-emotion" },
  delivery: {
    label: "Delivery",
    meaning: "how it was voiced",
    icon: Speech,
    chip: "bg-delivery-soft text-delivery",
  },
  "non-verbal": {
    label: "Sound",
    meaning: "a sound that is no word",
    icon: Wind,
    chip: "bg-non-verbal-soft text-non-verbal",
  },
  pause: { label: "Pause", meaning: "a silence that counts", icon: Hourglass, chip: "bg-pause-soft text-pause" },
};

export const UNKNOWN: CategoryStyle = {
  label: "Other",
  meaning: "a tag outside the vocabulary",
  icon: CircleHelp,
  chip: "border border-dashed border-muted text-muted",
};

export function styleOf(tag: Pick<TranscriptTag, "category">): CategoryStyle {
  return tag.category === null ? UNKNOWN : CATEGORIES[tag.category];
}
