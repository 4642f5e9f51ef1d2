/** What the page calls the categories of tags. Their hues and shapes are in `globals.css`, by `data-tag`. */

import type { Category } from "@/lib/api/types";

export interface CategoryName {
  id: Category | "unknown";
  label: string;
  meaning: string;
}

export const CATEGORIES: readonly CategoryName[] = [
  { id: "emotion", label: "Emotion", meaning: "how it felt" },
  { id: "delivery", label: "Delivery", meaning: "how it was voiced" },
  { id: "non-verbal", label: "Sound", meaning: "not a word" },
  { id: "pause", label: "Pause", meaning: "a silence" },
  { id: "unknown", label: "Other", meaning: "unknown" },
];
