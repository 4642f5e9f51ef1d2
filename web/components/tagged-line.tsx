"use client";

import { Fragment, useMemo } from "react";
import { TagChip } from "@/components/tag-chip";
import { useServer } from "@/lib/store/server";

/**
 * A line of tagged text of which the server gave no places (a snippet, words being spoken): what stands in brackets
 * and is in the server's vocabulary is shown as a tag, all else as it is.
 */
export function TaggedLine({ text }: { text: string }) {
  const vocabulary = useServer(({ capabilities }) => capabilities?.tags);
  const categories = useMemo(() => new Map(vocabulary?.map(({ tag, category }) => [tag, category])), [vocabulary]);
  return text.split(/(\[[^[\]]+\])/).map((part, index) => {
    const category = part.startsWith("[") ? categories.get(part.slice(1, -1).toLowerCase()) : undefined;
    return (
      // biome-ignore lint/suspicious/noArrayIndexKey: a part is its place
      <Fragment key={index}>{category ? <TagChip name={part.slice(1, -1)} category={category} /> : part}</Fragment>
    );
  });
}
